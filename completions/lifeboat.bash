# bash completion for lifeboat. For this shell: source <(lifeboat completion bash). For every one:
#   lifeboat completion bash > ~/.local/share/bash-completion/completions/lifeboat
_lifeboat() {
	local line kind=
	COMPREPLY=()
	while IFS= read -r line; do
		if [ -z "$kind" ]; then
			kind=$line
		else
			COMPREPLY+=("${line%%$'\t'*}")
		fi
	done < <("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	if [ "$kind" = :files ]; then
		compopt -o filenames 2>/dev/null
		while IFS= read -r line; do
			COMPREPLY+=("$line")
		done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
	fi
}
complete -F _lifeboat lifeboat
