/* SPDX-License-Identifier: GPL-2.0-only */
/* iperf3, the program itself: a server and a client of it, and what they say. */
#ifndef KSERIES_IPERF_H
#define KSERIES_IPERF_H

#include <sys/types.h>

#include "types.h"

#define IPERF_SAYS (256 << 10)

struct iperf_end {
	pid_t pid;		/* 0 once it is reaped */
	int out;		/* -1 once it is closed */
	int status;		/* as waitpid() has it */
	size_t used;
	char says[IPERF_SAYS];
};

struct iperf {
	const char *program;
	struct iperf_end server;
	struct iperf_end client;
};

struct iperf_result {
	u64 sent;		/* bytes that went into the sockets */
	/* What the server had read when the client was through. */
	u64 received;
	u64 elapsed_ns;		/* of the server */
	u64 retransmits;
};

/* False where there is no iperf3. */
bool iperf_find(struct iperf *ip);
/* In the netns of the server: start it, and see that it listens at @addr. */
void iperf_serve(struct iperf *ip, u32 addr);
/*
 * In that of the client: @n streams for @seconds or, if that is 0, until they
 * have sent @bytes altogether.
 */
void iperf_connect(struct iperf *ip, u32 addr, unsigned int n,
		   unsigned int seconds, u64 bytes);
/* Hear what they say for a while; false once both have ended. */
bool iperf_hear(struct iperf *ip, int timeout_ms);
/* Kills what still runs. */
void iperf_end(struct iperf *ip);
/* Both ended by themselves, without an error. */
bool iperf_good(const struct iperf *ip);
/* False, with a diagnosis, when they do not say it. */
bool iperf_result(const struct iperf *ip, struct iperf_result *res);

#endif
