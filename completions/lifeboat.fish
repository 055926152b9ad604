# fish completion for lifeboat. For this shell: lifeboat completion fish | source. For every one:
#   lifeboat completion fish > ~/.config/fish/completions/lifeboat.fish
function __lifeboat_complete
	set -l words (commandline -opc) (commandline -ct)
	$words[1] __complete -- $words[2..-1] 2>/dev/null
end
function __lifeboat_files
	test (__lifeboat_complete)[1] = :files
end
complete -c lifeboat -f
complete -c lifeboat -n 'not __lifeboat_files' -a '(__lifeboat_complete)[2..-1]' -k
complete -c lifeboat -n __lifeboat_files -F
