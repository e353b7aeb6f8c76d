
# Names of services of a kind: all, stopped (without a process) or running (with a process, or with a supervisor that
# is going to start one).
function __fish_{{function}}_services --argument-names kind
    set -l sysdir {{service_dir}}
    set -l rundir {{run_dir}}
    test -n "$SYSDIR"; and set sysdir $SYSDIR
    test -n "$RUNDIR"; and set rundir $RUNDIR
    set -l option
    for word in (commandline -opc)
        set -l value (string replace -r '^~/' "$HOME/" -- $word)
        if string match -qr '^--(sys|run)dir=' -- $word
            set option (string replace -r '=.*' '' -- $word)
            set value (string replace -r '^[^=]*=' '' -- $word | string replace -r '^~/' "$HOME/")
        end
        switch "$option"
            case --sysdir
                set sysdir $value
            case --rundir
                set rundir $value
        end
        set option $word
    end

    set -l names
    for entry in $sysdir/*
        test -d $entry; or set -a names (string replace -r '.*/' '' -- $entry)
    end
    if test $kind != stopped
        # those whose file is gone
        for entry in $rundir/*/status
            set -l name (string replace -r '.*/([^/]*)/status$' '$1' -- $entry)
            contains -- $name $names; or set -a names $name
        end
    end
    for name in $names
        string match -qr '^-|^pid$' -- $name; and continue
        switch $kind
            case running
                test -e $rundir/$name/pid; or test -e $rundir/$name/syspid; or continue
            case stopped
                test -e $rundir/$name/pid; and continue
        end
        echo -- $name
    end
end
