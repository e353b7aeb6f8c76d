
# Options are for what clap has generated, paths for the shell, the rest are names of services.
_{{function}}_or_service() {
	case $2,$3 in
		-*,* | *,= | *,-p | *,--path | *,-t | *,--timeout | *,--sysdir | *,--rundir) _{{function}} "$@" ;;
		*/*,*) COMPREPLY=() ;;
		*) _sysmgr_services all "$2" ;;
	esac
}
complete -o bashdefault -o default -F _{{function}}_or_service {{tool}}
