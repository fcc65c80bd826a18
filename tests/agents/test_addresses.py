"""Where an agent may be (HAZARDS S07): a corpus of spellings and places, none of which gets past the rules."""

from __future__ import annotations

import pytest

from orchestration.agents.addresses import Allowance, Denied, allowance, endpoint, judge

NOTHING = Allowance()

#: URLs that no agent may have while nothing is allowed. Each is an attack somebody made or a spelling a parser fell for.
DENIED_URLS = [
    "http://agent.example/", "http://127.0.0.1/", "https://127.0.0.1/", "https://127.0.0.1:443/", "https://127.1/",
    "https://127.000.000.001/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
    "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://0.0.0.0/", "https://10.0.0.1/", "https://10.1/",
    "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
    "https://169.254.1.1/", "https://100.64.0.1/", "https://100.127.255.254/", "https://100.100.100.200/",
    "https://168.63.129.16/", "https://192.0.0.192/", "https://192.0.2.1/", "https://198.51.100.7/", "https://203.0.113.9/",
    "https://198.18.0.1/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/", "https://255.255.255.255/",
    "https://192.88.99.1/", "https://256.1.1.1/", "https://1.2.3/", "https://1.2.3.4.5/", "https://[::1]/", "https://[::]/",
    "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a9fe:a9fe]/", "https://[2002:7f00:1::]/", "https://[2002:a9fe:a9fe::1]/", "https://[2001::1]/",
    "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[::ffff:0:127.0.0.1]/",
    "https://[::1", "https://::1/", "https://user@agent.example/", "https://user:secret@agent.example/",
    "https://agent.example@127.0.0.1/", "https://127.0.0.1#@agent.example/", "https://agent.example\\@127.0.0.1/",
    "https://agent.example:22/", "https://agent.example:0/", "https://agent.example:99999/", "https://agent.example:8443/",
    "https://agent.example./", "https://agént.example/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://agent%2eexample/",
    "https://agent..example/", "https://-agent.example/", "https:///etc/passwd", "https:agent.example", "//agent.example/",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "ftp://agent.example/", "HTTPS://agent.example/", "dict://x/",
    "https://agent.example/a b", "https://agent.example/\r\nX-Evil: 1", "https://agent.example/\x00", " https://agent.example/",
    "https://agent.example/#part", "https://agent.example/ä", "https://" + "a." * 200 + "example/", "https://x/" + "a" * 3_000,
    "javascript:alert(1)", "", "https://",
]  # fmt: skip


@pytest.mark.parametrize("url", DENIED_URLS)
def test_an_address_that_is_no_plain_public_one_is_refused(url: str):
    with pytest.raises(Denied):
        endpoint(url, NOTHING)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://agent.example", "agent.example", 443, "/"),
        ("https://Agent.Example:443/v1/ask?x=1", "agent.example", 443, "/v1/ask?x=1"),
        ("https://xn--agnt-bpa.example/", "xn--agnt-bpa.example", 443, "/"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/"),
        ("https://[2606:4700:0::1111]/", "2606:4700::1111", 443, "/"),
        ("https://agent.example?x", "agent.example", 443, "/?x"),
        ("https://localhost/", "localhost", 443, "/"),  # a name is judged by what it resolves to
    ],
)
def test_a_plain_public_address_is_read(url: str, host: str, port: int, target: str):
    found = endpoint(url, NOTHING)

    assert (found.host, found.port, found.target) == (host, port, target)


def test_an_origin_opens_its_scheme_its_port_and_its_literal_and_nothing_beside():
    allowed = allowance(("http://10.1.2.3:8080",))

    assert endpoint("http://10.1.2.3:8080/ask", allowed).authority == "10.1.2.3:8080"
    assert str(judge("10.1.2.3", allowed)) == "10.1.2.3"
    for url in ("http://10.1.2.3/", "https://10.1.2.3:8080/", "http://10.1.2.4:8080/", "http://10.1.2.3:8081/"):
        with pytest.raises(Denied):
            endpoint(url, allowed)


def test_an_origin_with_a_name_opens_no_address():
    allowed = allowance(("http://agents.lan:8080",))

    assert endpoint("http://agents.lan:8080/", allowed).host == "agents.lan"
    with pytest.raises(Denied, match="private"):
        judge("10.1.2.3", allowed)


def test_a_network_opens_its_addresses_and_neither_port_nor_scheme():
    allowed = allowance(("10.1.0.0/16", "fd12::/16"))

    assert str(judge("10.1.255.1", allowed)) == "10.1.255.1"
    assert str(judge("fd12::5", allowed)) == "fd12::5"
    for address in ("10.2.0.1", "::ffff:10.1.0.1", "2002:0a01:0001::", "64:ff9b::a01:1"):
        with pytest.raises(Denied):
            judge(address, allowed)
    with pytest.raises(Denied, match="not encrypted"):
        endpoint("http://10.1.0.1/", allowed)
    with pytest.raises(Denied, match="port"):
        endpoint("https://10.1.0.1:8443/", allowed)


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("169.254.0.0/16", "169.254.169.254"), ("169.254.169.254", "169.254.169.254"), ("100.64.0.0/10", "100.100.100.200"),
        ("168.63.129.16/32", "168.63.129.16"), ("fd00:ec2::/32", "fd00:ec2::254"), ("224.0.0.0/8", "224.0.0.1"),
        ("fe80::/10", "fe80::1"), ("::ffff:0:0/96", "::ffff:169.254.169.254"),
    ],
)  # fmt: skip
def test_no_allow_list_opens_the_metadata_services_of_clouds(entry: str, address: str):
    with pytest.raises(Denied):
        judge(address, allowance((entry,)))


@pytest.mark.parametrize(
    "entry",
    [
        "0.0.0.0/0", "10.0.0.0/7", "::/0", "f000::/6", "10.0.0.1/8", "*", "agents.lan", "10.0.0", "https://", "https://*.lan",
        "http://agents.lan:8080/", "http://agents.lan:8080/path", "http://user@agents.lan", "http://0x7f.1", "ftp://agents.lan",
        "",
    ],
)  # fmt: skip
def test_an_allow_list_names_origins_and_networks_of_reasonable_size(entry: str):
    with pytest.raises(Denied):
        allowance((entry,))


@pytest.mark.parametrize("answer", ["", "agent.example", "fe80::1%eth0", "8.8.8.8%1", "8.8.8.8/32", "08.8.8.8"])
def test_what_a_resolver_says_is_judged_as_text_too(answer: str):
    with pytest.raises(Denied):
        judge(answer, NOTHING)
