package main

import "fmt"

// exitHelp is the end of a long help text: the exit codes that the command
// has beside 0, 1 and 2. It takes pairs of a code and what it stands for.
func exitHelp(pairs ...any) string {
	text := "\nExit codes:\n\n    0  done, or already so\n    1  failed\n    2  usage\n"
	for index := 0; index+1 < len(pairs); index += 2 {
		text += fmt.Sprintf("  %3d  %s\n", pairs[index], pairs[index+1])
	}
	return text + "  130  interrupted\n"
}
