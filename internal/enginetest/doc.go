// Package enginetest tells stories of users, their phones and their browsers to an mfa.Engine. It is for the tests of
// rooms that have an engine or a store: what must hold whoever keeps the accounts is written once, in Races.
package enginetest
