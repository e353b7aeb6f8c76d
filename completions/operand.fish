
complete -c {{tool}} -n "not string match -q '*/*' -- (commandline -ct)" -f -a "(__fish_{{function}}_services all)"
