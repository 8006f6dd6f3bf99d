package enrich

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
)

const (
	cliAgent    = "aws-cli/2.17.60 md/awscrt#0.21.2 ua/2.0 os/macos#23.6.0 md/arch#x86_64 lang/python#3.12.6"
	chromeAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)

// TestClass lists user agents as they stand in CloudTrail records.
func TestClass(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := Class(text); got != want {
			t.Errorf("Class(%q) = %q, expected %q", text, got, want)
		}
	}
	f("", "")
	f(cliAgent, CLI)
	f("["+cliAgent+"]", CLI)
	f("aws-cli/1.16.248 Python/3.4.7 Linux/4.9.184 botocore/1.12.239", CLI) // built on an SDK, but the tool is named
	f("AWS-CLI/2.17.60", CLI)
	f("ec2-api-tools 1.6.12.2", CLI)
	f("AWSPowerShell.NetCore/4.1.0 .NET_Core/3.1 OS/Linux", CLI)
	f("Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165", SDK)
	f("[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]", SDK)
	f("aws-sdk-go/1.55.5 (go1.23.8; windows; amd64) exec-env/EC2 amazon-ssm-agent/3.3.2471.0", SDK)
	f("m/E aws-sdk-go-v2/1.30.1 os/linux lang/go#1.22.6 md/GOOS#linux md/GOARCH#arm64 api/iam#1.34.1", SDK)
	f("aws-sdk-nodejs/2.1384.0 darwin/v20.16.0 AWS-Toolkit-For-VSCode/3.31.0 promise", SDK)
	f("APN/1.0 HashiCorp/1.0 Terraform/1.9.6 (+https://www.terraform.io) terraform-provider-aws/5.73.0 m/C aws-sdk-go-v2/1.32.2", IaC)
	f("APN/1.0 Pulumi/1.0 PulumiAws/6.0 aws-sdk-go-v2/1.32.2", IaC)
	f("console.amazonaws.com", Console)
	f("console.ec2.amazonaws.com", Console)
	f("signin.amazonaws.com", Console)
	f("AWSConsole", Console)
	f("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.4.247]", Console)
	f("EC2ConsoleBackend, aws-sdk-java/Linux/x.xx.fleetxen Java_HotSpot(TM)_64-Bit_Server_VM/xx", Console)
	f("AWS Internal", Service)
	f("cloudformation.amazonaws.com", Service)
	f("autoscaling.amazonaws.com", Service)
	f("aws-internal/3 aws-sdk-java/1.12.488", Service)
	f(chromeAgent, Browser)
	f("Mozilla/5.0 (Windows NT 6.1; WOW64; rv:24.0) Gecko/20100101 Firefox/24.0", Browser)
	f("Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1", Unknown)
	f("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) AppleWebKit/537.36", Unknown)
	f("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/90.0.4430.212 Safari/537.36", Unknown)
	f("Mozilla", Unknown)
	f("Mozilla/2.0 (compatible; NEWT ActiveX; Win32)", Unknown)
	f("Go-http-client/1.1", Unknown)
	f("python-requests/2.31.0", Unknown)
	f("curl/8.4.0", Unknown)
	f("stratus-red-team_ea782787-a65d-4fc4-9fca-1c97869a9a25", Unknown)
	f("evil agent for sts.amazonaws.com", Unknown) // a service is named by its host name alone
	f("REDACTED", Unknown)
}

func TestClassesAreLowerCase(t *testing.T) {
	for _, row := range classes {
		for _, marks := range [][]string{row.exact, row.prefixes, row.suffixes, row.within} {
			for _, mark := range marks {
				if mark != strings.ToLower(mark) || mark == "" {
					t.Errorf("class %s: the mark %q never fits", row.class, mark)
				}
			}
		}
	}
}

// enriched returns the fields that a adds to an event with this user agent, one a line.
func enriched(a *Agent, text string) string {
	e := &event.Event{}
	e.SetString("user_agent.original", text)
	a.Enrich(e)
	var b strings.Builder
	for _, f := range e.Fields() {
		if f.Path != "user_agent.original" {
			fmt.Fprintf(&b, "%s=%s\n", f.Path, f.Value.Text())
		}
	}
	return b.String()
}

func TestAgent(t *testing.T) {
	agent := NewAgent()
	f := func(text, want string) {
		t.Helper()
		for range 2 { // read, then remembered
			if got := enriched(agent, text); got != want {
				t.Errorf("%q\ngot\n%swant\n%s", text, got, want)
			}
		}
	}
	f("", "")
	f(cliAgent, "tocsin.agent.class=cli\nuser_agent.device.name=Other\nuser_agent.name=aws-cli\nuser_agent.version=2.17.60\n")
	f(chromeAgent, "tocsin.agent.class=browser\nuser_agent.device.name=Mac\nuser_agent.name=Chrome\nuser_agent.os.full=Mac OS X 10.15.7\n"+
		"user_agent.os.name=Mac OS X\nuser_agent.os.version=10.15.7\nuser_agent.version=130.0.0.0\n")
	f("nothing known", "tocsin.agent.class=unknown\nuser_agent.device.name=Other\nuser_agent.name=Other\n")
	// What lies behind the limit is not read.
	f(strings.Repeat("x", maxAgent-len(" aws-cli/2.17.60"))+" aws-cli/2.17.60",
		"tocsin.agent.class=cli\nuser_agent.device.name=Other\nuser_agent.name=aws-cli\nuser_agent.version=2.17.60\n")
	f(strings.Repeat("x", maxAgent)+" aws-cli/2.17.60",
		"tocsin.agent.class=unknown\nuser_agent.device.name=Other\nuser_agent.name=Other\n")
}

// TestAgentConcurrent has several goroutines ask for the same and for different agents; the race detector watches.
func TestAgentConcurrent(t *testing.T) {
	agent := NewAgent()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 50 {
				text := fmt.Sprintf("aws-cli/2.%d.%d", i%4, n)
				want := fmt.Sprintf("user_agent.version=2.%d.%d\n", i%4, n)
				if got := enriched(agent, text); !strings.HasSuffix(got, want) {
					t.Errorf("%q got %q", text, got)
				}
			}
		})
	}
	group.Wait()
}

// TestCacheIsBounded floods a cache, and asks for one key all the time: it is never forgotten.
func TestCacheIsBounded(t *testing.T) {
	var c cache[string, int]
	c.put("often", 1)
	for n := range 10 * cacheEntries {
		c.put(fmt.Sprint(n), n)
		if v, found := c.get("often"); !found || v != 1 {
			t.Fatalf("after %d others: %d, %v", n, v, found)
		}
		if held := len(c.young) + len(c.old); held > 2*cacheEntries {
			t.Fatalf("after %d keys the cache holds %d, more than %d", n, held, 2*cacheEntries)
		}
	}
	if _, found := c.get("0"); found {
		t.Error("the first key is still there")
	}
	if v, found := c.get(fmt.Sprint(10*cacheEntries - 1)); !found || v != 10*cacheEntries-1 {
		t.Error("the last key is not there")
	}
}

// TestAgentKeepsNoRecords holds that an answer does not keep the text alive that the agent was a part of.
func TestAgentKeepsNoRecords(t *testing.T) {
	agent := NewAgent()
	enriched(agent, "warm")
	const texts, size = 64, 1 << 20
	before := heap()
	for n := range texts {
		record := strings.Repeat("r", size) + fmt.Sprint(n)
		enriched(agent, record[len(record)-40:])
	}
	if grown := heap() - before; grown > texts*size/4 {
		t.Errorf("%d agents out of records of %d bytes hold %d bytes", texts, size, grown)
	}
	runtime.KeepAlive(agent)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkAgent(b *testing.B) {
	agent := NewAgent()
	enriched(agent, cliAgent)
	b.Run("known", func(b *testing.B) {
		e := &event.Event{}
		e.SetString("user_agent.original", cliAgent)
		for b.Loop() {
			agent.Enrich(e)
		}
	})
	unknown := func(name, text string) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				agent.read(text)
			}
		})
	}
	unknown("cli", cliAgent)
	unknown("browser", chromeAgent)
	unknown("hostile", strings.Repeat("Mozilla/5.0 (Linux; Android ", maxAgent)[:maxAgent])
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			compile()
		}
	})
}
