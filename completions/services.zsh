
# _sysmgr_services KIND: adds names of services. KIND is all, stopped (without a process) or running (with a process, or
# with a supervisor that is going to start one).
_sysmgr_services() {
    local kind=$1 sysdir=${SYSDIR:-{{service_dir}}} rundir=${RUNDIR:-{{run_dir}}} i value name
    local -a names known services expl

    # the whole command line, of which words holds a part here
    for ((i = 2; i <= $#sysmgr_words; i++)); do
        case $sysmgr_words[i] in
            (--sysdir | --rundir) value=$sysmgr_words[i+1] ;;
            (--sysdir=* | --rundir=*) value=${sysmgr_words[i]#*=} ;;
            (*) continue ;;
        esac
        value=${${(Q)value}/#\~\//$HOME/}
        case $sysmgr_words[i] in
            (--sysdir*) sysdir=$value ;;
            (--rundir*) rundir=$value ;;
        esac
    done

    names=($sysdir/*(N-^/:t))
    if [[ $kind != stopped ]]; then
        # those whose file is gone
        known=($rundir/*/status(N:h:t))
        names+=(${known:|names})
    fi
    for name in ${${${names:#-*}:#pid}:#*$'\n'*}; do
        case $kind in
            (running) [[ -e $rundir/$name/pid || -e $rundir/$name/syspid ]] || continue ;;
            (stopped) [[ ! -e $rundir/$name/pid ]] || continue ;;
        esac
        services+=($name)
    done
    _wanted services expl service compadd -a - services && return
    [[ $PREFIX == */* ]] && _files
}
