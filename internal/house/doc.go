// Package house holds no code. Its tests keep the rooms of the house apart: who may import whom, which libraries reach
// whom, that each dependency is accounted for in docs/dependencies.md, and that the README shows code that compiles.
package house
