// Package house holds no code. Its tests keep the rooms of the house apart: who may import whom, which libraries reach
// whom, that each dependency is accounted for in docs/dependencies.md. And they hold the pages against the code: the
// README's lines compile, links lead somewhere, numbers, routes and problems are what the code has.
package house
