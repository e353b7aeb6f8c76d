
# Whether so many operands of the operation are there as said, or more.
function __fish_svctl_has_operands --argument-names least
    set -l count -1
    set -l skip no
    for word in (commandline -opc)[2..]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case -w --wait --sysdir --rundir
                set skip yes
            case '-*'
            case '*'
                set count (math $count + 1)
        end
    end
    test $count -ge $least
end

complete -c svctl -n "__fish_svctl_using_subcommand {{all}}; and not string match -q '*/*' -- (commandline -ct)" \
    -f -a "(__fish_svctl_services all)"
complete -c svctl -n "__fish_svctl_using_subcommand {{stopped}}; and not string match -q '*/*' -- (commandline -ct)" \
    -f -a "(__fish_svctl_services stopped)"
complete -c svctl -n "__fish_svctl_using_subcommand {{running}}; and not string match -q '*/*' -- (commandline -ct)" \
    -f -a "(__fish_svctl_services running)"
complete -c svctl -n "__fish_svctl_using_subcommand signal; and not __fish_svctl_has_operands 1" \
    -f -a "{{signals}}"
complete -c svctl -n "__fish_svctl_using_subcommand signal; and __fish_svctl_has_operands 1" \
    -f -a "(__fish_svctl_services running)"
