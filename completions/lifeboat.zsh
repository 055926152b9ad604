#compdef lifeboat
# zsh completion for lifeboat. For this shell: source <(lifeboat completion zsh), after compinit. For every one:
#   lifeboat completion zsh > "${fpath[1]}/_lifeboat"
_lifeboat() {
	local -a out list
	local line name about
	out=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ "${out[1]}" == ":files" ]]; then
		_files
		return
	fi
	for line in "${(@)out[2,-1]}"; do
		name=${${line%%$'\t'*}//:/\\:} about=${line#*$'\t'}
		list+=("$name${about:+:$about}")
	done
	(( ${#list} )) && _describe -V lifeboat list
}
if [[ "${funcstack[1]}" == "_lifeboat" ]]; then
	_lifeboat "$@"
else
	compdef _lifeboat lifeboat
fi
