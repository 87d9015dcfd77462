/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread that does what a VPN does: what it reads from one tun or tap device
 * it writes to another, both ways. It never blocks in either.
 */
#ifndef KSERIES_RELAY_H
#define KSERIES_RELAY_H

#include <pthread.h>

#include "types.h"

typedef void (*relay_frame_fn)(void *arg, unsigned int from, const void *buf,
			       size_t len);

struct relay {
	/* A descriptor of -1 is no device: frames end here. */
	int fd[2];
	unsigned int frame_us;	/* a frame takes that long, at least */
	bool vhost;		/* vhost-net reads, not this thread */
	relay_frame_fn look;	/* at each frame, or NULL */
	void *arg;
	/* The thread's own, though anyone may look at them. */
	u64 frames[2];		/* read from each */
	bool stop;
	u64 due_ns;
	struct relay_end {
		struct relay *relay;
		struct vhost *vhost;
	} end[2];
	pthread_t thread;
};

void relay_start(struct relay *re);
void relay_end(struct relay *re);

#endif
