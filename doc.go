// Package tbctl holds the rules of the house: see ARCHITECTURE.md, and the test
// that compares it with the code. The program is in cmd/tbctl.
package tbctl
