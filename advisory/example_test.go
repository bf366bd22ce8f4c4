package advisory_test

import (
	"fmt"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/multiversion"
)

func ExampleList_ForTag() {
	for _, tag := range []string{"0.17.6", "0.17.6-1", "0.17.8"} {
		fmt.Println(tag)
		for _, a := range advisory.BuiltIn().ForTag(tag) {
			fmt.Println(" ", a.ID, a.Skip)
		}
	}
	// Output:
	// 0.17.6
	//   skip-0.17.5 true
	//   rerelease-0.17.5 false
	// 0.17.6-1
	//   rerelease-0.17.5 false
	// 0.17.8
}

// What a file is decides, wherever it came from.
func ExampleList_Of() {
	for _, notice := range advisory.BuiltIn().Of(advisory.Subject{About: advisory.AboutFile, Release: multiversion.NewRelease(0, 16, 77)}) {
		fmt.Println(notice.Message)
	}
	// Output:
	// 0.16.77: upstream says to skip 0.16.77
}
