package enginetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"sallyport/mfa"
)

// racers is how many goroutines a barrier releases at once.
const racers = 64

// Races checks that what may happen once happens once, whoever asks at the same moment, over several nodes. It calls
// open for each of its tests, which must return views of one empty store, one for each node.
func Races(t *testing.T, rounds int, open func(t *testing.T) []mfa.Store) {
	t.Helper()
	for _, race := range []struct {
		name string
		run  func(*site)
	}{
		{"RACE1_OneCodeInManyBrowsersOpensOne", oneCode},
		{"RACE2_OneRecoveryCodeInManyBrowsersOpensOneAndIsGone", oneRecoveryCode},
		{"RACE2_OneTicketIsAnsweredOnce", oneTicket},
		{"RACE2_OneEnrollmentIsConfirmedOnce", oneConfirmation},
		{"RACE2_TwoRecoveryCodesAtOnceBothOpenAndBothAreGone", twoRecoveryCodes},
		{"RACE6_OfTwoFirstEnrollmentsOneWinsAndTheOtherMustVerify", twoFirstEnrollments},
	} {
		t.Run(race.name, func(t *testing.T) {
			s := newSite(t, open(t))
			for s.round = range rounds {
				if race.run(s); t.Failed() {
					return
				}
			}
		})
	}
	t.Run("RACE4_NoMoreGuessesAreJudgedThanTheBudgetHas", func(t *testing.T) {
		s := newSite(t, open(t))
		for s.round = range Size(1, 5) {
			manyGuesses(s)
		}
	})
}

// site is several nodes on one store.
type site struct {
	*testing.T
	nodes []*Desk
	round int
}

func newSite(t *testing.T, stores []mfa.Store) *site {
	s := &site{T: t, nodes: []*Desk{New(t, stores[0])}}
	for _, store := range stores[1:] {
		s.nodes = append(s.nodes, s.nodes[0].Beside(store))
	}
	return s
}

func (s *site) node(i int) *Desk { return s.nodes[i%len(s.nodes)] }

// user returns a user of this round, who has an app.
func (s *site) user() (userID string, v mfa.Visit, app App) {
	s.Helper()
	userID = fmt.Sprintf("alice %d", s.round)
	v = s.node(0).SignIn(userID)
	return userID, v, s.node(0).Enroll(&v)
}

// meet runs n functions at once, released by one barrier.
func meet(n int, each func(i int)) {
	var ready, over sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		over.Go(func() {
			ready.Done()
			<-start
			each(i)
		})
	}
	ready.Wait()
	close(start)
	over.Wait()
}

// winners counts who got no error, and demands of the others that they got no proof.
func (s *site) winners(n int, each func(i int) (mfa.Done, error)) int {
	s.Helper()
	errs, proofs := make([]error, n), make([]mfa.Done, n)
	meet(n, func(i int) { proofs[i], errs[i] = each(i) })
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case proofs[i].Proof.FactorID != "" || len(proofs[i].Assurance.Proofs) > 0:
			s.Errorf("round %d: a refused answer (%v) left a proof: %+v", s.round, err, proofs[i])
		}
	}
	return won
}

// began begins a proof in each of many fresh logins, spread over the nodes.
func (s *site) began(userID, method string, n int) ([]mfa.Visit, []string) {
	s.Helper()
	visits, tickets := make([]mfa.Visit, n), make([]string, n)
	for i := range n {
		visits[i] = s.node(i).SignIn(userID)
		tickets[i] = s.node(i).Began(visits[i], method).Ticket
	}
	return visits, tickets
}

func oneCode(s *site) {
	userID, _, app := s.user()
	visits, tickets := s.began(userID, mfa.MethodTOTP, racers)
	code := []byte(app.Code())
	won := s.winners(racers, func(i int) (mfa.Done, error) {
		return s.node(i).FinishVerify(s.Context(), visits[i], mfa.MethodTOTP, tickets[i], code)
	})
	if proved := s.node(0).Count(userID, mfa.Proved); won != 1 || proved != 1 {
		s.Errorf("round %d: one code opened %d of %d browsers and left %d proofs, want 1 and 1", s.round, won, racers, proved)
	}
}

func oneRecoveryCode(s *site) {
	userID, v, _ := s.user()
	codes, f := s.node(0).EnrollRecovery(&v)
	visits, tickets := s.began(userID, mfa.MethodRecovery, racers)
	won := s.winners(racers, func(i int) (mfa.Done, error) {
		return s.node(i).FinishVerify(s.Context(), visits[i], mfa.MethodRecovery, tickets[i], []byte(codes[3]))
	})
	if left := s.left(userID, f.ID); won != 1 || left != len(codes)-1 {
		s.Errorf("round %d: one recovery code opened %d of %d browsers, and %d are left, want 1 and %d",
			s.round, won, racers, left, len(codes)-1)
	}
}

// left returns how many recovery codes the stored account still has.
func (s *site) left(userID, factorID string) int {
	s.Helper()
	f, ok := s.node(0).Kept(userID).Factor(factorID)
	if !ok {
		s.Fatalf("round %d: the recovery codes are gone", s.round)
	}
	n, _ := s.node(0).Left(f)
	return n
}

func oneTicket(s *site) {
	userID, v, _ := s.user()
	codes, f := s.node(0).EnrollRecovery(&v)
	v = s.node(0).SignIn(userID)
	ticket := s.node(0).Began(v, mfa.MethodRecovery).Ticket
	won := s.winners(racers, func(i int) (mfa.Done, error) {
		code := []byte(codes[i%len(codes)])
		return s.node(i).FinishVerify(s.Context(), v, mfa.MethodRecovery, ticket, code)
	})
	if left := s.left(userID, f.ID); won != 1 || left != len(codes)-1 {
		s.Errorf("round %d: one ticket took %d right answers of %d, and %d codes are left, want 1 and %d",
			s.round, won, racers, left, len(codes)-1)
	}
}

func oneConfirmation(s *site) {
	userID := fmt.Sprintf("alice %d", s.round)
	v := s.node(0).SignIn(userID)
	b := s.node(0).BeganEnrollment(v, mfa.MethodTOTP)
	code := []byte(NewApp(s, s.node(0).Clock, b.Prompt).Code())
	won := s.winners(racers, func(i int) (mfa.Done, error) {
		return s.node(i).FinishEnroll(s.Context(), v, mfa.MethodTOTP, b.Ticket, code, "")
	})
	if n := len(s.node(0).Kept(userID).Factors); won != 1 || n != 1 {
		s.Errorf("round %d: one enrollment was confirmed %d times and made %d factors, want 1 and 1", s.round, won, n)
	}
}

func twoRecoveryCodes(s *site) {
	userID, v, _ := s.user()
	codes, f := s.node(0).EnrollRecovery(&v)
	visits, tickets := s.began(userID, mfa.MethodRecovery, 2)
	won := s.winners(2, func(i int) (mfa.Done, error) {
		return s.node(i).FinishVerify(s.Context(), visits[i], mfa.MethodRecovery, tickets[i], []byte(codes[i]))
	})
	if left := s.left(userID, f.ID); won != 2 || left != len(codes)-2 {
		s.Errorf("round %d: two recovery codes opened %d browsers, and %d are left, want 2 and %d",
			s.round, won, left, len(codes)-2)
	}
}

func twoFirstEnrollments(s *site) {
	userID := fmt.Sprintf("alice %d", s.round)
	var visits [2]mfa.Visit
	var begun [2]mfa.Begun
	var apps [2]App
	for i := range visits {
		visits[i] = s.node(i).SignIn(userID)
		begun[i] = s.node(i).BeganEnrollment(visits[i], mfa.MethodTOTP)
		apps[i] = NewApp(s, s.node(i).Clock, begun[i].Prompt)
	}
	var errs [2]error
	meet(2, func(i int) {
		var done mfa.Done
		done, errs[i] = s.node(i).FinishEnroll(
			s.Context(), visits[i], mfa.MethodTOTP, begun[i].Ticket, []byte(apps[i].Code()), "")
		visits[i].Assurance = done.Assurance
	})
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	loser := 1 - winner
	if errs[winner] != nil || Why(errs[loser]) != mfa.WhyMustVerify {
		s.Fatalf("round %d: two first enrollments = %v and %v, want one factor and one %s",
			s.round, errs[0], errs[1], mfa.WhyMustVerify)
	}
	desk := s.node(loser)
	if got := desk.Action(mfa.Policy{}, visits[loser]); got != mfa.Verify {
		s.Errorf("round %d: the loser is asked to %v, want %v", s.round, got, mfa.Verify)
	}
	desk.Clock.Move(Step)
	if _, err := desk.Try(visits[loser], mfa.MethodTOTP, apps[loser].Code()); err == nil {
		s.Errorf("round %d: the app that was not enrolled proved something", s.round)
	}
	desk.Prove(&visits[loser], mfa.MethodTOTP, apps[winner].Code())
}

// manyGuesses puts the right code among many wrong ones, each in a login of its own. What is judged leaves an event; a
// right answer, if it is reached at all, ends the row that was, and so makes room for one more.
func manyGuesses(s *site) {
	guesses := 5000
	userID, _, app := s.user()
	visits, tickets := s.began(userID, mfa.MethodTOTP, guesses)
	codes := app.Wrong(guesses)
	codes[rand.N(guesses)] = app.Code()
	won := s.winners(guesses, func(i int) (mfa.Done, error) {
		return s.node(i).FinishVerify(s.Context(), visits[i], mfa.MethodTOTP, tickets[i], []byte(codes[i]))
	})
	wrong, right := s.node(0).Count(userID, mfa.WrongAnswer), s.node(0).Count(userID, mfa.Proved)
	if most := mfa.FreeTries * (1 + right); right != won || won > 1 || wrong > most || wrong == 0 {
		s.Errorf("round %d: of %d guesses %d wrong and %d right ones were judged and %d opened; want at most %d, 1 and 1",
			s.round, guesses, wrong, right, won, most)
	}
}
