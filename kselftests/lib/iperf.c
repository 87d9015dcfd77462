// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iperf.h"
#include "ktap.h"
#include "stall.h"

#define PORT 5201
#define LISTEN_WAIT_MS 20000
#define MAX_ARGS 20
#define ERROR_SHOWN 200

static const char * const places[] = {
	"/bin/iperf3", "/usr/bin/iperf3", "/usr/local/bin/iperf3",
};

bool iperf_find(struct iperf *ip)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		ip->program = places[i];
		if (!access(ip->program, X_OK))
			return true;
	}
	return false;
}

/* @args: up to a NULL. Both speak JSON, and only at their end. */
static void end_start(struct iperf *ip, struct iperf_end *end,
		      const char * const *args)
{
	char *argv[MAX_ARGS] = { (char *)ip->program, "-J", "-i", "0" };
	unsigned int i;
	int out[2];

	for (i = 0; args[i] && i + 5 < MAX_ARGS; i++)
		argv[4 + i] = (char *)args[i];
	if (pipe2(out, O_CLOEXEC | O_NONBLOCK))
		ktap_bail("pipe: %s", strerror(errno));
	end->used = 0;
	end->pid = fork();
	if (end->pid < 0)
		ktap_bail("fork: %s", strerror(errno));
	if (!end->pid) {
		/* A pipe that is full must stop it, not fail it. */
		fcntl(out[1], F_SETFL, 0);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		execv(ip->program, argv);
		_exit(127);
	}
	close(out[1]);
	end->out = out[0];
}

static bool listens(void)
{
	FILE *f = fopen("/proc/thread-self/net/tcp", "re");
	unsigned int port, state;
	bool found = false;
	char line[256];

	if (!f)
		ktap_bail("/proc/thread-self/net/tcp: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), f))
		/* SLOT: LOCAL:PORT REMOTE:PORT STATE; 10 is LISTEN. */
		found = sscanf(line, " %*u: %*x:%x %*x:%*x %x", &port,
			       &state) == 2 && port == PORT && state == 10;
	fclose(f);
	return found;
}

static void addr_text(u32 addr, char text[INET_ADDRSTRLEN])
{
	struct in_addr in = { .s_addr = htonl(addr) };

	inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
}

void iperf_serve(struct iperf *ip, u32 addr)
{
	char at[INET_ADDRSTRLEN];
	const char * const args[] = { "-s", "-1", "-4", "-B", at, NULL };
	struct stall st;

	addr_text(addr, at);
	end_start(ip, &ip->server, args);
	stall_start(&st, LISTEN_WAIT_MS);
	while (!listens()) {
		if (stall_over(&st) || waitpid(ip->server.pid, NULL, WNOHANG))
			ktap_bail("%s does not listen", ip->program);
		usleep(1000);
	}
}

void iperf_connect(struct iperf *ip, u32 addr, unsigned int n,
		   unsigned int seconds, u64 bytes)
{
	char to[INET_ADDRSTRLEN], streams[16], amount[32];
	const char * const args[] = {
		"-c", to, "-4", "-P", streams, seconds ? "-t" : "-n", amount, NULL
	};

	addr_text(addr, to);
	snprintf(streams, sizeof(streams), "%u", n);
	snprintf(amount, sizeof(amount), "%llu", seconds ? seconds : bytes);
	end_start(ip, &ip->client, args);
}

static void end_hear(struct iperf_end *end)
{
	ssize_t len = read(end->out, end->says + end->used,
			   sizeof(end->says) - 1 - end->used);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0) {
		end->used += (size_t)len;
		end->says[end->used] = '\0';
		return;
	}
	/* No more of it, or it says too much: that is then cut off. */
	close(end->out);
	end->out = -1;
}

static void end_reap(struct iperf_end *end)
{
	if (end->pid && waitpid(end->pid, &end->status, WNOHANG) == end->pid)
		end->pid = 0;
}

bool iperf_hear(struct iperf *ip, int timeout_ms)
{
	/* poll() passes over a descriptor of -1. */
	struct pollfd pfd[] = {
		{ .fd = ip->server.out, .events = POLLIN },
		{ .fd = ip->client.out, .events = POLLIN },
	};

	poll(pfd, 2, timeout_ms);
	if (pfd[0].revents)
		end_hear(&ip->server);
	if (pfd[1].revents)
		end_hear(&ip->client);
	end_reap(&ip->server);
	end_reap(&ip->client);
	/* A client that failed leaves its server without anyone to serve. */
	if (!ip->client.pid && ip->client.status && ip->server.pid)
		kill(ip->server.pid, SIGTERM);
	return ip->server.pid || ip->client.pid || ip->server.out >= 0 ||
	       ip->client.out >= 0;
}

static void end_end(struct iperf_end *end)
{
	if (end->out >= 0)
		close(end->out);
	end->out = -1;
	if (!end->pid)
		return;
	kill(end->pid, SIGKILL);
	waitpid(end->pid, &end->status, 0);
	end->pid = 0;
}

void iperf_end(struct iperf *ip)
{
	end_end(&ip->client);
	end_end(&ip->server);
}

bool iperf_good(const struct iperf *ip)
{
	return !ip->server.status && !ip->client.status;
}

/* The number of @key, the first one behind @group, which is the first "end". */
static bool number(const char *says, const char *group, const char *key,
		   double *value)
{
	const char * const names[] = { "\"end\"", group, key };
	const char *at = says;
	unsigned int i;
	char *stop;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		at = strstr(at, names[i]);
		if (!at)
			return false;
		at += strlen(names[i]);
	}
	at += strspn(at, ": \t");
	*value = strtod(at, &stop);
	return stop != at;
}

static void complain(const char *who, const struct iperf_end *end)
{
	const char *error = strstr(end->says, "\"error\"");

	if (!end->used)
		ktap_diag("%s says nothing", who);
	else
		ktap_diag("%s: %.*s", who, ERROR_SHOWN, error ? error : "no error");
}

bool iperf_result(const struct iperf *ip, struct iperf_result *res)
{
	const char *says = ip->client.says;
	double sent, received, seconds, retransmits;

	memset(res, 0, sizeof(*res));
	if (!iperf_good(ip) ||
	    !number(says, "\"sum_sent\"", "\"bytes\"", &sent) ||
	    !number(says, "\"sum_sent\"", "\"retransmits\"", &retransmits) ||
	    !number(says, "\"sum_received\"", "\"bytes\"", &received) ||
	    !number(says, "\"sum_received\"", "\"seconds\"", &seconds)) {
		complain("client", &ip->client);
		complain("server", &ip->server);
		return false;
	}
	res->sent = (u64)sent;
	res->received = (u64)received;
	res->elapsed_ns = (u64)(seconds * 1e9);
	res->retransmits = (u64)retransmits;
	return true;
}
