/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reachability prober. Every line of standard input starts one probe on a socket of its own:
 *   ID tcp|udp|icmp ADDRESS PORT TIMEOUT_MS      (port is ignored for icmp)
 * and is answered, in order of completion, by
 *   ID open|refused|timeout|unreachable MICROSECONDS
 * "open": the handshake completed, the datagram or the ping came back. Ends at end of input, all answered.
 */
#include "load.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBES_MAX 1024
#define LINE_MAX_BYTES 256

struct probe {
	char id[64];
	char kind; /* t, u, i */
	int family;
	int fd;
	uint16_t echo_id;
	uint64_t started, deadline;
};

static struct probe probes[PROBES_MAX];
static int probe_count;
static uint16_t next_echo_id;

static void answer(int index, const char *result)
{
	struct probe *probe = &probes[index];

	printf("%s %s %llu\n", probe->id, result, (unsigned long long)((now_ns() - probe->started) / 1000));
	if (probe->fd >= 0)
		close(probe->fd);
	probes[index] = probes[--probe_count];
}

static const char *result_of(int error)
{
	return error == ECONNREFUSED ? "refused" : "unreachable";
}

static uint16_t checksum(const void *data, size_t size)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size / 2; i++)
		sum += word[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Eight bytes: type, code, checksum, identifier, sequence. The kernel fills in ICMPv6's checksum. */
static void send_echo(struct probe *probe)
{
	uint16_t packet[4] = { htons(probe->family == AF_INET ? ICMP_ECHO << 8 : ICMP6_ECHO_REQUEST << 8), 0, 0, htons(1) };

	probe->echo_id = htons((uint16_t)(getpid() * 31 + ++next_echo_id));
	packet[2] = probe->echo_id;
	if (probe->family == AF_INET)
		packet[1] = checksum(packet, sizeof(packet));
	(void)!send(probe->fd, packet, sizeof(packet), 0);
}

static int is_echo_reply(const struct probe *probe, const uint8_t *data, ssize_t size)
{
	uint16_t id;
	uint8_t reply = probe->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;

	if (probe->family == AF_INET && size > 0) {
		ssize_t header = (data[0] & 15) * 4;

		data += header;
		size -= header;
	}
	if (size < 8 || data[0] != reply)
		return 0;
	memcpy(&id, data + 4, sizeof(id));
	return id == probe->echo_id;
}

/* Opens and starts; answers at once what fails at once. */
static void start(struct probe *probe, const char *address, int port)
{
	struct sockaddr_storage to;
	socklen_t size = parse_address(address, probe->kind == 'i' ? 0 : port, &to);
	int type = probe->kind == 't' ? SOCK_STREAM : probe->kind == 'u' ? SOCK_DGRAM : SOCK_RAW;
	int protocol = probe->kind != 'i' ? 0 : to.ss_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	probe->family = to.ss_family;
	probe->fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (probe->fd < 0)
		die("socket");
	if (connect(probe->fd, (struct sockaddr *)&to, size) && errno != EINPROGRESS) {
		answer(probe_count - 1, result_of(errno));
		return;
	}
	if (probe->kind == 'u')
		(void)!send(probe->fd, "margay", 6, 0);
	if (probe->kind == 'i')
		send_echo(probe);
}

static void read_line(char *line)
{
	struct probe *probe = &probes[probe_count];
	char kind[8], address[64];
	int port, timeout_ms;

	if (sscanf(line, "%63s %7s %63s %d %d", probe->id, kind, address, &port, &timeout_ms) != 5 || !strchr("tui", kind[0])) {
		fprintf(stderr, "margay-load: \"%s\" is not \"ID tcp|udp|icmp ADDRESS PORT TIMEOUT_MS\"\n", line);
		exit(1);
	}
	probe->kind = kind[0];
	probe->started = now_ns();
	probe->deadline = probe->started + (uint64_t)timeout_ms * 1000000ull;
	probe_count++;
	start(probe, address, port);
}

static void finish(int index)
{
	struct probe *probe = &probes[index];
	uint8_t data[2048];
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
		answer(index, result_of(error));
		return;
	}
	if (probe->kind == 't') {
		answer(index, "open");
		return;
	}
	ssize_t got = recv(probe->fd, data, sizeof(data), 0);

	if (got < 0 && errno != EAGAIN)
		answer(index, result_of(errno));
	else if (got >= 0 && (probe->kind == 'u' || is_echo_reply(probe, data, got)))
		answer(index, "open");
}

static int poll_timeout_ms(void)
{
	uint64_t now = now_ns(), first = UINT64_MAX;

	for (int i = 0; i < probe_count; i++)
		if (probes[i].deadline < first)
			first = probes[i].deadline;
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (int)((first - now + 999999) / 1000000);
}

/* Takes whole lines out of the input buffer while there is room for probes. */
static size_t take_lines(char *input, size_t used)
{
	char *end;

	while (probe_count < PROBES_MAX && (end = memchr(input, '\n', used))) {
		*end = 0;
		read_line(input);
		used -= (size_t)(end + 1 - input);
		memmove(input, end + 1, used);
	}
	return used;
}

int probe_main(int argc, char **argv)
{
	static struct pollfd polls[PROBES_MAX + 1];
	static char input[64 * LINE_MAX_BYTES];
	size_t used = 0;
	int open = 1;

	(void)argc;
	(void)argv;
	while (open || probe_count) {
		int room = open && used < sizeof(input);
		int count = probe_count;

		polls[count] = (struct pollfd){ .fd = room ? 0 : -1, .events = POLLIN };
		for (int i = 0; i < count; i++)
			polls[i] = (struct pollfd){ .fd = probes[i].fd, .events = probes[i].kind == 't' ? POLLOUT : POLLIN };
		if (poll(polls, (nfds_t)count + 1, poll_timeout_ms()) < 0 && errno != EINTR)
			die("poll");
		/* Backwards: answering moves the last probe into the gap. */
		for (int i = count - 1; i >= 0; i--)
			if (polls[i].revents)
				finish(i);
		uint64_t now = now_ns();

		for (int i = probe_count - 1; i >= 0; i--)
			if (probes[i].deadline <= now)
				answer(i, "timeout");
		if (polls[count].revents) {
			ssize_t got = read(0, input + used, sizeof(input) - used);

			if (got <= 0)
				open = 0;
			else
				used += (size_t)got;
		}
		used = take_lines(input, used);
	}
	return 0;
}
