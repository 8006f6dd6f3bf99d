package enrich

import "strings"

// The classes of user agents, as tocsin.agent.class holds them.
const (
	Browser = "browser" // a person's web browser
	Console = "console" // AWS's own web console, acting for a person
	CLI     = "cli"     // a command-line tool: the AWS CLI, PowerShell's AWS module, eksctl …
	SDK     = "sdk"     // a program built on one of the AWS SDKs
	IaC     = "iac"     // a tool that makes infrastructure from code: Terraform, Pulumi, the CDK …
	Service = "service" // an AWS service, acting for itself or for someone
	Unknown = "unknown" // none of these: other HTTP libraries, home-made programs, attack tools, crawlers
)

// classes says what makes a user agent belong to a class. The first row of which one mark fits decides, so that a tool
// comes before the SDK that it is built on and names in its own user agent. All marks are lower-case, as is the text
// that they are compared with.
var classes = []struct {
	class    string
	exact    []string
	prefixes []string
	suffixes []string
	within   []string
}{
	{class: Console,
		exact:    []string{"awsconsole", "console.amazonaws.com", "signin.amazonaws.com", "aws signin"},
		prefixes: []string{"console.", "s3console/", "ec2consolebackend", "aws console", "awsmobileconsole"},
		suffixes: []string{".console.amazonaws.com"}},
	{class: IaC,
		within: []string{"terraform/", "terraform-provider-", "opentofu/", "pulumi", "aws-cdk", "cdk-assets", "ansible", "aws-sam-cli",
			"crossplane", "provider-aws/", "terragrunt", "serverless framework", "aws-controllers-k8s", "cloudcustodian", "cloud-custodian"}},
	{class: CLI,
		prefixes: []string{"ec2-api-tools", "elasticfox"},
		within: []string{"aws-cli/", "awspowershell", "aws-shell/", "aws-vault", "saml2aws", "eksctl/", "kubectl/", "ecs-cli/", "aws-copilot",
			"s3cmd/", "rclone/"}},
	{class: Service,
		exact:    []string{"aws internal", "amazon internal"},
		prefixes: []string{"aws-internal/", "coral/", "aws internal/"},
		suffixes: []string{".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".aws.internal"}},
	{class: SDK,
		within: []string{"aws-sdk-", "boto3/", "botocore/", "boto/", "aws sdk for", "awssdk/", "aws-sdk/", "aws-amplify/", "awscala/", "s3transfer/"}},
}

// Class says which class of program the user agent text stands for; "" has none.
func Class(text string) string {
	// S3 puts the text that it got between brackets.
	text = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if text == "" {
		return ""
	}
	for _, row := range classes {
		for _, mark := range row.exact {
			if text == mark {
				return row.class
			}
		}
		for _, mark := range row.prefixes {
			if strings.HasPrefix(text, mark) {
				return row.class
			}
		}
		for _, mark := range row.suffixes {
			// A service is named by a host name alone.
			if strings.HasSuffix(text, mark) && !strings.ContainsAny(text, " /;(") {
				return row.class
			}
		}
		for _, mark := range row.within {
			if strings.Contains(text, mark) {
				return row.class
			}
		}
	}
	if isBrowser(text) {
		return Browser
	}
	return Unknown
}

// isBrowser reports whether the lower-case text describes itself as browsers do: Mozilla/5.0, then a system in
// brackets, then an engine or a browser; and names neither a crawler nor a scripted program.
func isBrowser(text string) bool {
	if !strings.HasPrefix(text, "mozilla/5.0 (") {
		return strings.HasPrefix(text, "opera/") || strings.HasPrefix(text, "mozilla/4.0 (compatible; msie ")
	}
	for _, mark := range []string{"bot", "crawl", "spider", "headless", "powershell", "phantomjs", "electron/"} {
		if strings.Contains(text, mark) {
			return false
		}
	}
	for _, mark := range []string{" gecko/", "applewebkit/", "trident/"} {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}
