package inventory

// Line is the line in which an inventory sets a key of its own, such as become; 0: it does not.
func Line(text []byte, key string) int { return lineOf(text, -1, []string{key}) }
