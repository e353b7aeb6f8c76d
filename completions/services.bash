
# What follows completes the names of services, which only the directories know.

# _sysmgr_services KIND WORD: those names as replies that begin with WORD. KIND is all, stopped (without a process) or
# running (with a process, or with a supervisor that is going to start one).
_sysmgr_services() {
	local kind=$1 word=$2 sysdir=${SYSDIR:-{{service_dir}}} rundir=${RUNDIR:-{{run_dir}}} undo='' quoted='' i value entry name

	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == --sysdir || ${COMP_WORDS[i]} == --rundir ]] || continue
		value=${COMP_WORDS[i + 1]}
		[[ $value != = ]] || value=${COMP_WORDS[i + 2]}
		value=${value/#\~\//$HOME/}
		case ${COMP_WORDS[i]} in
			--sysdir) sysdir=$value ;;
			--rundir) rundir=$value ;;
		esac
	done

	COMPREPLY=()
	compopt +o default +o bashdefault 2>/dev/null
	if [[ $word == [\"\']* ]]; then
		word=${word:1}
		quoted=yes
	else
		word=${word//\\/}
	fi
	# With this option a pattern that matches nothing is an error, which would be printed.
	if shopt -q failglob; then
		shopt -u failglob
		undo=yes
	fi
	for entry in "$sysdir"/* "$rundir"/*/status; do
		if [[ $entry == "$rundir"/*/status ]]; then
			name=${entry%/status}
			name=${name##*/}
			# it was among the first unless its file is gone
			[[ ! -e $sysdir/$name && ! -L $sysdir/$name ]] || continue
			[[ $kind != stopped ]] || continue
		else
			name=${entry##*/}
			[[ ! -d $entry ]] || continue
		fi
		[[ -e $entry || -L $entry ]] || continue
		[[ $name == "$word"* && $name != -* && $name != pid && $name != *$'\n'* ]] || continue
		case $kind in
			running) [[ -e $rundir/$name/pid || -e $rundir/$name/syspid ]] || continue ;;
			stopped) [[ ! -e $rundir/$name/pid ]] || continue ;;
		esac
		[[ -n $quoted ]] || printf -v name %q "$name"
		COMPREPLY+=("$name")
	done
	[[ -z $undo ]] || shopt -s failglob
}
