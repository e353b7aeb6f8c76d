
# Options and operations are for what clap has generated, paths for the shell; what follows the operation is a service.
_svctl_or_service() {
	local operation='' operands=0 i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
			-w | --wait | --sysdir | --rundir)
				((i++))
				[[ ${COMP_WORDS[i]} != = ]] || ((i++))
				;;
			-*) ;;
			*) if [[ -z $operation ]]; then operation=${COMP_WORDS[i]}; else ((operands++)); fi ;;
		esac
	done
	case $2,$3 in
		-*,* | *,= | *,-w | *,--wait | *,--sysdir | *,--rundir) _svctl "$@" ;;
		*/*,*) COMPREPLY=() ;;
		*)
			case $operation in
				'') _svctl "$@" ;;
				signal)
					if ((operands == 0)); then
						# shellcheck disable=SC2207 # signals have no blanks
						COMPREPLY=($(compgen -W '{{signals}}' -- "$2"))
						compopt +o default +o bashdefault 2>/dev/null
					else
						_sysmgr_services running "$2"
					fi
					;;
				{{stopped}}) _sysmgr_services stopped "$2" ;;
				{{running}}) _sysmgr_services running "$2" ;;
				*) _sysmgr_services all "$2" ;;
			esac
			;;
	esac
}
complete -o bashdefault -o default -F _svctl_or_service svctl
