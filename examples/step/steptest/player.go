package steptest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A player takes a game through every order. The game writes its screens to it, and reads
// the keys from it. The player knows of the game only the screens.
type player struct {
	screen   strings.Builder // since the last key
	greeting string
	bound    bool    // on preemptions: some threads cannot be chosen
	path     []*turn // of the order that is played
	step     int     // index in path of the next turn
	played   tally
}

// A tally counts orders.
type tally struct{ orders, wins int }

// A turn is a question to which each possible key is an answer, one after another.
type turn struct {
	screen  string // the same each time
	choices []choice
	taken   int
}

// A choice is a possible key.
type choice struct {
	key   string
	hint  tally // that the game shows
	found tally // of the orders that were played with this choice
}

func (p *player) Write(text []byte) (int, error) { return p.screen.Write(text) }

// Read returns the next line that the player types.
func (p *player) Read(line []byte) (int, error) {
	screen := p.screen.String()
	p.screen.Reset()
	if p.greeting == "" {
		p.greeting, screen = before(screen, "step 1\n")
	}
	var key string
	var err error
	switch {
	case strings.HasSuffix(screen, "Which goes on? "):
		key, err = p.choose(screen)
	case strings.HasSuffix(screen, "q leaves: "):
		key, err = p.again(screen)
	default:
		err = fmt.Errorf("steptest: no question is on the screen:\n%s", screen)
	}
	if err != nil {
		return 0, err
	}
	return copy(line, key+"\n"), nil
}

// before divides a text at the first mark. Without a mark the head is empty.
func before(text, mark string) (head, tail string) {
	at := max(strings.Index(text, mark), 0)
	return text[:at], text[at:]
}

// choose repeats the choices of the path, and takes the first one where the path ends.
func (p *player) choose(screen string) (key string, err error) {
	if p.step == len(p.path) {
		p.path = append(p.path, &turn{screen: screen, choices: choices(screen)})
	}
	here := p.path[p.step]
	p.step++
	switch {
	case here.screen != screen:
		return "", fmt.Errorf("steptest: the same keys bring another screen:\n%s\nthe first time it was\n%s", screen, here.screen)
	case !p.bound && strings.Contains(screen, " (one preemption too many)\n"):
		return "", fmt.Errorf("steptest: the search has left out a thread that can go on:\n%s", screen)
	case len(here.choices) == 0:
		return "", fmt.Errorf("steptest: no choice has a number with a hint:\n%s", screen)
	}
	return here.choices[here.taken].key, nil
}

// choiceLine is a thread that can go on, with its hint.
var choiceLine = regexp.MustCompile(`(?m)^ *(\d+)  .* (\d+) of (\d+) orders? wins?$`)

func choices(screen string) (all []choice) {
	for _, m := range choiceLine.FindAllStringSubmatch(screen, -1) {
		wins, _ := strconv.Atoi(m[2])
		orders, _ := strconv.Atoi(m[3])
		all = append(all, choice{key: m[1], hint: tally{orders, wins}})
	}
	return all
}

// again notes the end of an order. The next order takes the last choice that has another
// answer. Without one the player leaves.
func (p *player) again(screen string) (key string, err error) {
	won := strings.Contains(screen, "\nYou have won: ")
	if !won && !strings.Contains(screen, "\nYou have not won.") {
		return "", errors.New("steptest: the screen does not tell whether the player has won:\n" + screen)
	}
	p.played.add(won)
	for _, turn := range p.path {
		turn.choices[turn.taken].found.add(won)
	}
	p.step = 0
	for len(p.path) > 0 {
		last := p.path[len(p.path)-1]
		if done := last.choices[last.taken]; done.found != done.hint {
			return "", fmt.Errorf("steptest: with %s were played %+v, and the hint is %+v:\n%s", done.key, done.found, done.hint, last.screen)
		}
		if last.taken++; last.taken < len(last.choices) {
			return "r", nil
		}
		p.path = p.path[:len(p.path)-1]
	}
	return "q", nil
}

func (c *tally) add(won bool) {
	c.orders++
	if won {
		c.wins++
	}
}
