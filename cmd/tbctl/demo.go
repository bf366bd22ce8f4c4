package main

type demoCmd struct{}

// Run is made below.
func (c *demoCmd) Run(a *app) error { return nil }
