package extract

import "os"

// forwarded is what must not end this process while the child, which gets it
// from the console as well, still runs.
func forwarded() []os.Signal { return []os.Signal{os.Interrupt} }

func exitCodeOf(state *os.ProcessState) int { return state.ExitCode() }
