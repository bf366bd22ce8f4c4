package limits

// Check has nothing to check here.
func Check() error { return nil }
