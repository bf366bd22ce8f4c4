package watch

// PollOnly and BinaryOnly are for the tests of this package.
func (o Options) PollOnly(only bool) Options {
	o.pollOnly = only
	return o
}

func (o Options) BinaryOnly() Options {
	o.binaryOnly = true
	return o
}
