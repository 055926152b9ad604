# PowerShell completion for lifeboat. For this shell: lifeboat completion powershell | Out-String | Invoke-Expression
# For every one, put that line into the file that $PROFILE names.
Register-ArgumentCompleter -Native -CommandName lifeboat, lifeboat.exe -ScriptBlock {
	param($word, $command, $cursor)
	$words = @($command.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursor } | ForEach-Object { $_.ToString() })
	$program, $words = $words
	$words = @($words)
	if ($word -eq '') { $words += '""' } # an empty argument, which older versions would leave out
	$kind, $lines = @(& $program __complete -- @words 2>$null)
	if ($kind -eq ':files') { return } # PowerShell completes files itself
	foreach ($line in $lines) {
		$text, $about = $line -split "`t", 2
		if (-not $about) { $about = $text }
		[System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $about)
	}
}
