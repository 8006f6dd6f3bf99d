package demo

import (
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"
)

// slotLength is how often CloudTrail delivers.
const slotLength = 5 * time.Minute

// compiled is an action whose templates are cut.
type compiled struct {
	action
	requestT, responseT, extraT, resourcesT template
}

// generator makes the events of an archive, slot by slot.
type generator struct {
	opt    Options
	out    *archive
	r      *rand.Rand
	start  time.Time
	cast   []*identity
	acts   map[string]*compiled
	fill   filling
	keys   *keyring // nil: none
	made   int      // events so far
	alerts []Alert

	now       slot
	delivered map[place]time.Time // of the slot
	scratch   []byte
	parts     [4][]byte // request, response, extra, resources of the call being made
}

// slot is five minutes in which something happens.
type slot struct {
	start   time.Time
	number  int     // among the slots with traffic
	weight  float64 // of its traffic; 0: a story alone
	office  bool    // people are at work
	jobs    bool    // the first slot of its hour
	stories []story
}

// told is how many calls the stories of the slot make.
func (s *slot) told() int {
	n := 0
	for _, st := range s.stories {
		n += max(len(st.steps), 1) // a special record is one
	}
	return n
}

func newGenerator(opt Options, out *archive) *generator {
	g := &generator{
		opt: opt, out: out, r: rand.New(rand.NewPCG(opt.Seed, 1)),
		start: opt.End.AddDate(0, 0, -opt.Days), cast: cast(), acts: map[string]*compiled{},
		keys: newKeyring(opt.Keys, opt.Seed),
	}
	g.fill.r = g.r
	for _, a := range actions() {
		if a.event == "" {
			a.event = a.name
		}
		g.acts[a.name] = &compiled{a, compile(a.request), compile(a.response), compile(a.extra), compile(a.resources)}
	}
	for _, i := range g.cast {
		for _, name := range strings.Fields(i.does) {
			i.usual = append(i.usual, g.act(name))
		}
	}
	return g
}

func (g *generator) act(name string) *compiled {
	a := g.acts[name]
	if a == nil {
		panic("demo: no action is called " + name)
	}
	return a
}

// named finds an identity.
func (g *generator) named(name, account string) *identity {
	n := slices.IndexFunc(g.cast, func(i *identity) bool { return i.name == name && i.account == account })
	if n < 0 {
		panic("demo: nobody is called " + name)
	}
	return g.cast[n]
}

// level is how hard to pack: a small archive is kept, a large one is made to be read once.
func (o Options) level() int {
	if o.Events <= 100_000 {
		return gzip.BestCompression
	}
	return gzip.BestSpeed
}

// run makes everything.
func (g *generator) run() error {
	slots := g.slots()
	var all, done float64
	told := 0 // events of the stories that are still to come
	for _, s := range slots {
		all += s.weight
		told += s.told()
	}
	for n, s := range slots {
		g.now, g.delivered = s, map[place]time.Time{}
		if err := g.standing(s, n == len(slots)-1); err != nil {
			return err
		}
		done += s.weight
		told -= s.told()
		target := int(math.Round(float64(g.opt.Events) * done / all))
		if n == len(slots)-1 {
			target = g.opt.Events
		}
		target = min(target, g.opt.Events-told)
		if err := g.traffic(s, target); err != nil {
			return err
		}
	}
	if g.made != g.opt.Events {
		return fmt.Errorf("%d events came out, not %d", g.made, g.opt.Events)
	}
	return nil
}

// slots lists the slots of the archive in which something happens: a large archive has traffic in all, a small one in one
// or a few of each hour, so that objects hold more than a record or two.
func (g *generator) slots() []slot {
	const inHour = int(time.Hour / slotLength)
	hours := g.opt.Days * 24
	busy := min(max(g.opt.Events/(hours*250), 1), inHour)
	for inHour%busy != 0 {
		busy--
	}
	r := rand.New(rand.NewPCG(g.opt.Seed, 2))
	stories := g.stories()
	var out []slot
	number := 0
	for h := range hours {
		first := r.IntN(inHour / busy)
		for n := range inHour {
			at := g.start.Add(time.Duration(h)*time.Hour + time.Duration(n)*slotLength)
			s := slot{start: at, office: isOffice(at)}
			for len(stories) > 0 && stories[0].at.Before(at.Add(slotLength)) {
				s.stories = append(s.stories, stories[0])
				stories = stories[1:]
			}
			if n%(inHour/busy) == first {
				s.number, s.weight, s.jobs = number, 1, n == first
				if s.office {
					s.weight = 1.6
				}
				number++
			}
			if s.weight > 0 || s.stories != nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// isOffice reports whether people are at work.
func isOffice(t time.Time) bool {
	return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 7 && t.Hour() < 19
}

// standing does what is planned for the slot: stories, and the jobs of its hour.
func (g *generator) standing(s slot, last bool) error {
	for _, st := range s.stories {
		if err := g.tell(st); err != nil {
			return err
		}
	}
	if !s.jobs || last {
		return nil
	}
	for _, i := range g.cast {
		if !slices.Contains(i.at, s.start.Hour()) {
			continue
		}
		at := g.moment()
		if i.asks {
			if err := g.do(i, g.act("GetCallerIdentity"), at); err != nil {
				return err
			}
		}
		for range 3 {
			at = g.within(at.Add(time.Duration(1+g.r.IntN(20)) * time.Second))
			if err := g.do(i, i.usual[g.r.IntN(len(i.usual))], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// moment is a time in the slot.
func (g *generator) moment() time.Time {
	return g.now.start.Add(time.Duration(g.r.IntN(int(slotLength/time.Second))) * time.Second)
}

// within keeps at inside the slot.
func (g *generator) within(at time.Time) time.Time {
	if end := g.now.start.Add(slotLength - time.Second); at.After(end) {
		return end
	}
	return at
}

// askShare is how many calls of those who ask who they are, in a thousand, do.
const askShare = 25

// traffic makes calls until there are target events.
func (g *generator) traffic(s slot, target int) error {
	if s.weight == 0 || g.made >= target {
		return nil
	}
	who, upTo := g.actors(s)
	spare := g.named("monitoring-agent", shop) // acts without a session
	for g.made < target {
		i := who[sort.SearchInts(upTo, 1+g.r.IntN(upTo[len(upTo)-1]))]
		if target-g.made < 3 {
			i = spare // the records of a session's beginning would be too many
		}
		act := i.usual[g.r.IntN(len(i.usual))]
		if i.asks && g.r.IntN(1000) < askShare {
			act = g.act("GetCallerIdentity")
		}
		if err := g.do(i, act, g.moment()); err != nil {
			return err
		}
	}
	return nil
}

// actors lists who may act in the slot, and up to which sum of weights. Where few events fall on a region, its
// identities act in few slots, and then more.
func (g *generator) actors(s slot) (who []*identity, upTo []int) {
	weights := map[string]int{}
	all := 0
	for _, i := range g.cast {
		weights[i.region] += i.weight
		all += i.weight
	}
	sum := 0
	perSlot := float64(g.opt.Events) / float64(g.opt.Days*24)
	for _, i := range g.cast {
		expected := perSlot * float64(weights[i.region]) / float64(all)
		every := min(max(int(24/expected), 1), 8)
		if i.weight == 0 || i.office && !s.office || s.number%every != 0 {
			continue
		}
		sum += i.weight * every
		who, upTo = append(who, i), append(upTo, sum)
	}
	return who, upTo
}

// do makes one call of an identity, with whatever comes before it.
func (g *generator) do(i *identity, act *compiled, at time.Time) error {
	s, err := g.session(i, g.r.IntN(i.lanes()))
	if err != nil {
		return err
	}
	c := g.call(i, s, act, at)
	if i.kind == instance && act.name == "UpdateInstanceInformation" {
		c.agent = i.agents[len(i.agents)-1] // the systems manager's agent, not the application
	}
	if code := g.trouble(i, act); code != "" {
		g.fail(i, s, &c, act, code)
	}
	return g.emit(&c)
}

// session returns what the identity acts with in a lane. One that begins does so with the slot, and is recorded.
func (g *generator) session(i *identity, lane int) (*session, error) {
	s, began := i.session(lane, g.now.start)
	if began {
		for _, c := range g.arrival(i, s, g.now.start) {
			if err := g.emit(&c); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// call is a call that goes well.
func (g *generator) call(i *identity, s *session, act *compiled, at time.Time) call {
	g.fill.begin(i.account, i.region)
	c := call{
		at: at, user: s.user, account: i.account, region: i.region, source: act.source, event: act.event,
		ip: s.ip, agent: s.agent, write: act.write, data: act.data, console: s.console,
	}
	if act.global {
		c.region = east
	}
	part := func(n int, t template) []byte {
		if t == nil {
			return nil
		}
		g.parts[n] = g.fill.append(g.parts[n][:0], t)
		return g.parts[n]
	}
	c.request = g.keys.add(part(0, act.requestT))
	if act.write || act.responseT != nil {
		c.response = part(1, act.responseT)
	}
	c.extra = part(2, act.extraT)
	c.resources = part(3, act.resourcesT)
	if i.agents != nil && !strings.HasSuffix(s.agent, ".amazonaws.com") {
		switch {
		case act.source == "s3" && act.requestT != nil && act.resourcesT != nil:
			c.host = g.fill.named("bucket") + ".s3." + c.region + ".amazonaws.com"
		case act.global:
			c.host = act.source + ".amazonaws.com"
		default:
			c.host = act.source + "." + c.region + ".amazonaws.com"
		}
	}
	return c
}

// trouble draws the error code of a call, "" for nearly all. Nobody is ever denied to ask who they are.
func (g *generator) trouble(i *identity, act *compiled) string {
	n := g.r.IntN(1000)
	switch {
	case act.name == "GetCallerIdentity":
		return ""
	case n < 15 && act.missing != "":
		return act.missing
	case n >= 15 && n < 27 && (i.kind == user || i.kind == person):
		return denied(act)
	case n >= 27 && n < 31:
		return throttled(act)
	}
	return ""
}

func denied(act *compiled) string {
	if act.source == "ec2" {
		return "Client.UnauthorizedOperation"
	}
	return "AccessDenied"
}

func throttled(act *compiled) string {
	switch act.source {
	case "ec2":
		return "Client.RequestLimitExceeded"
	case "s3":
		return "SlowDown"
	}
	return "ThrottlingException"
}

// fail turns c into a call that was refused with code.
func (g *generator) fail(i *identity, s *session, c *call, act *compiled, code string) {
	c.code, c.response = code, nil
	switch code {
	case "AccessDenied", "Client.UnauthorizedOperation":
		arn := i.arn()
		if s.name != "" {
			arn = "arn:aws:sts::" + i.account + ":assumed-role/" + i.name + "/" + s.name
		}
		c.message = fmt.Sprintf("User: %s is not authorized to perform: %s:%s because no identity-based policy allows the %s:%s action",
			arn, act.source, act.name, act.source, act.name)
	case throttled(act):
		c.message = "Rate exceeded"
	default:
		c.message = "The specified resource does not exist, or is not in a state that allows the request."
	}
}

// emit gives the record its ID and hands it to the archive.
func (g *generator) emit(c *call) error {
	fate := onTime
	switch n := g.r.IntN(1000); {
	case n < 4:
		fate = twice
	case n < 14:
		fate = late
	}
	return g.deliver(c, fate)
}

func (g *generator) deliver(c *call, f fate) error {
	var id, request [36]byte
	c.id = string(appendUUID(id[:0], g.r))
	g.scratch = c.append(g.scratch[:0], appendUUID(request[:0], g.r))
	at := place{c.account, c.region}
	delivered, known := g.delivered[at]
	if !known {
		// A few minutes after the slot's end, never as late as the next slot's objects.
		delivered = g.now.start.Add(slotLength + time.Duration(1+g.r.IntN(4))*time.Minute)
		g.delivered[at] = delivered
	}
	g.made++
	return g.out.add(at, delivered, g.scratch, f)
}
