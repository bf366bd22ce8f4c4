package inventory

import "github.com/tbctl/tbctl/internal/tomlline"

// Line is the line in which an inventory sets a key of its own, such as become; 0: it does not.
func Line(text []byte, key string) int { return tomlline.Of(text, -1, key) }
