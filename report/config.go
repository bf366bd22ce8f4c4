package report

// Config is the result of config.
type Config struct {
	Settings []Setting `json:"settings"`
	Files    []string  `json:"files"` // that are read, whether they exist or not
}

// Setting is what one setting is, and where that comes from.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`

	Problem string `json:"problem,omitempty"` // why it cannot be used
}
