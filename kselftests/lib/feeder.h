/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that sends with a small socket buffer. What waits in a qdisc counts
 * against that buffer: once it is used up, the process sleeps.
 */
#ifndef KSERIES_FEEDER_H
#define KSERIES_FEEDER_H

#include <sys/types.h>

#include "frame.h"
#include "scenario.h"
#include "types.h"

enum feeder_via { VIA_PACKET, VIA_UDP };

/* How it waits: in send(), or in poll() after a send that would have. */
enum feeder_mode { FEED_BLOCK, FEED_POLL };

/* In the order of the first enum, and with a NULL at the end. */
extern const char * const feeder_vias[];

/* In memory that both processes have; the child writes, the parent looks. */
struct feeder_state {
	u64 sent;		/* accepted */
	u64 refused;	/* ENOBUFS: the qdisc would not have it */
	u64 again;		/* EAGAIN */
	int error;		/* any other errno, which ends it */
	bool inside;	/* a system call that may sleep */
};

struct feeder {
	enum feeder_via via;
	int fd;			/* the parent's, of the same socket */
	struct sender packet;	/* where its frames come from; fd only with VIA_PACKET */
	pid_t pid;
	struct feeder_state *st;
};

/* With VIA_UDP the device gets the frames' source address; one feeder a device. */
void feeder_open(struct feeder *f, const struct bench *b,
		 const struct scenario *sc, enum feeder_via via);
/* Frames of a flow of its own; before anything is sent. */
void feeder_port(struct feeder *f, u16 port);
/* Send one frame from this process: 0 or errno. @flags: of send(). */
int feeder_send(struct feeder *f, int flags);
/* Start the process, which sends @n frames and ends, or ends with an error. */
void feeder_start(struct feeder *f, u64 n, enum feeder_mode mode);
/*
 * Wait until it sleeps for want of buffer (true) or has ended (false). It may
 * still be at work after stall_ms without a frame: that is neither, and bails.
 */
bool feeder_blocks(struct feeder *f, unsigned int stall_ms);
/* Wait for its end and reap it; false when it does not come. */
bool feeder_ends(struct feeder *f, unsigned int stall_ms);
/* SIGUSR1 interrupts it: an error, EINTR. */
void feeder_signal(struct feeder *f, int sig);
/* Is half of the socket's buffer free? Else a send that sleeps goes on so. */
bool feeder_writable(const struct feeder *f);
/* Close the parent's descriptor: then the process holds the last one. */
void feeder_let_go(struct feeder *f);
/* Kills what still runs. */
void feeder_close(struct feeder *f);

#endif
