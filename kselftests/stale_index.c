// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that is detached keeps the number of the queue it had, which by then
 * is another file's. vhost-net gives frames back to it nevertheless, and they
 * can be read. Whoever reads them makes room in a ring that no queue belongs
 * to: the queue of that number is full and must stay as it is.
 *
 *   rest  vhost-net has got one frame, and gives back the others
 *   all   it gives back all, and leaves that ring full: no queue is stopped for it
 *   late  it gives them back when the queue of that number is full already
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "reader.h"
#include "scenario.h"
#include "stall.h"
#include "vhost.h"

#define EXTRA 10
#define FIRST_PORT 43000
#define PORTS 64

enum give { GIVE_REST, GIVE_ALL, GIVE_LATE };

static const char * const gives[] = { "rest", "all", "late", NULL };

struct stale {
	struct scenario sc;
	enum give give;
	struct reader vhost;
	struct bench bench;
	struct sender sender;
	struct tally seen;	/* by a packet tap, on the way to the driver */
	struct tally out;
};

static unsigned int read_all(int fd, struct tally *t)
{
	unsigned int n = 0;
	char buf[FRAME_MAX];
	ssize_t len;

	while ((len = read(fd, buf, sizeof(buf))) >= 0) {
		if (t)
			tally_frame(t, buf, (size_t)len);
		n++;
	}
	if (errno != EAGAIN)
		ktap_bail("read: %s", strerror(errno));
	return n;
}

/* Send until a frame has come out of the first queue, and stay on its port. */
static void find_port(struct stale *sl)
{
	struct pollfd pfd[2];
	unsigned int i, port;
	struct stall st;

	for (port = 0; port < PORTS; port++) {
		sl->sender.frame.port = (u16)(FIRST_PORT + port);
		if (sender_send(&sl->sender) != SEND_OK)
			ktap_bail("send: %s", strerror(sl->sender.error));
		for (i = 0; i < 2; i++) {
			pfd[i].fd = sl->bench.fd[i];
			pfd[i].events = POLLIN;
		}
		stall_start(&st, sl->sc.stall_ms);
		while (!poll(pfd, 2, stall_left_ms(&st)))
			if (stall_over(&st))
				ktap_bail("a frame does not come out");
		if (read_all(sl->bench.fd[0], NULL))
			return;
		read_all(sl->bench.fd[1], NULL);
	}
	ktap_bail("no port leads to the first queue");
}

/* vhost holds the frames of a file that has no queue any more; how many. */
static unsigned int hold_frames(struct stale *sl)
{
	struct reader *r = &sl->vhost;

	sender_send_many(&sl->sender, sl->sc.len);
	reader_open(r, READER_VHOST, sl->bench.fd[0], &sl->out, sl->sc.stall_ms);
	if (sl->give == GIVE_ALL) {
		reader_start(r);
		vhost_takes_all(sl->bench.fd[0], sl->sc.stall_ms);
	} else {
		reader_hold(r);
	}
	tuntap_queue(sl->bench.fd[0], false);
	return sl->sc.len - (unsigned int)sl->out.frames;
}

static void give_back(struct stale *sl)
{
	vhost_detach(sl->vhost.vhost);
	reader_close(&sl->vhost);
}

/* A frame of the only queue that is left comes out. */
static bool flows(struct stale *sl)
{
	struct pollfd pfd = { .fd = sl->bench.fd[1], .events = POLLIN };
	struct stall st;

	stall_start(&st, sl->sc.stall_ms);
	if (sender_send(&sl->sender) != SEND_OK)
		return false;
	while (!poll(&pfd, 1, stall_left_ms(&st)))
		if (stall_over(&st))
			return false;
	return read_all(sl->bench.fd[1], NULL) == 1;
}

/* By whatever kind of reader, vhost-net once more among them. */
static void take_left(struct stale *sl, unsigned int left)
{
	struct tally stale;
	struct reader r;
	unsigned int got;

	tally_start(&stale, scenario_ether(&sl->sc), sl->bench.cookie);
	reader_open(&r, sl->sc.reader, sl->bench.fd[0], &stale,
		    sl->sc.stall_ms);
	reader_start(&r);
	got = reader_take(&r, left);
	reader_close(&r);
	if (!left || got < left)
		ktap_bail("%u of %u come out of the detached file", got, left);
}

/* A wake by a thread is carried out by ksoftirqd, which needs its CPU. */
static void let_softirqs_run(void)
{
	stall_nap(5 * NSEC_PER_MSEC);
}

static void stale(struct stale *sl)
{
	struct listener tap;
	unsigned int left;
	u64 drops;

	find_port(sl);
	tally_start(&sl->out, scenario_ether(&sl->sc), sl->bench.cookie);
	left = hold_frames(sl);
	if (sl->give != GIVE_LATE)
		give_back(sl);
	if (sl->give == GIVE_ALL) {
		ktap_ok(flows(sl), "a ring that is full and has no queue stops none");
		/* It is still full then, and one of its frames is destroyed. */
		sl->sc.len = --left;
		netdev_txqueuelen(sl->bench.dev, sl->sc.len);
		ktap_ok(flows(sl), "nor does it when its length changes");
	}
	/* One queue is left, and it has the number of the one that went. */
	tally_start(&sl->out, scenario_ether(&sl->sc), sl->bench.cookie);
	tally_start(&sl->seen, scenario_ether(&sl->sc), sl->bench.cookie);
	sl->sender.frame.seq = 0;
	sender_send_many(&sl->sender, sl->sc.len + EXTRA);
	drops = drops_count();
	listener_open(&tap, sl->bench.dev, scenario_ether(&sl->sc));

	if (sl->give == GIVE_LATE)
		give_back(sl);
	take_left(sl, left);
	/* Nor one that is closed. */
	close(sl->bench.fd[0]);
	sl->bench.fd[0] = -1;
	let_softirqs_run();
	listener_collect(&tap, &sl->seen);
	if (!ktap_ok(!sl->seen.frames && drops_count() == drops,
		     "a full queue does not notice a reader that has none"))
		ktap_diag("%u read, then %llu handed to the driver, %llu dropped",
			  left, (unsigned long long)sl->seen.frames,
			  (unsigned long long)(drops_count() - drops));

	read_all(sl->bench.fd[1], &sl->out);
	let_softirqs_run();
	read_all(sl->bench.fd[1], &sl->out);
	ktap_ok(sl->out.frames >= sl->sc.len && !sl->out.missing &&
		!sl->out.repeated, "its own reader gets its frames, in order");
	listener_close(&tap);
}

int main(int argc, char **argv)
{
	struct stale sl = {
		.give = (enum give)choice_take(&argc, argv, "give", gives,
					       GIVE_REST),
	};

	scenario_defaults(&sl.sc);
	sl.sc.len = 16;
	scenario_options(&sl.sc, argc, argv, NULL, 0);
	/* Shorter than 32: each frame that is read makes room. */
	if (!scenario_owns_queue(&sl.sc) || sl.sc.len < 2 || sl.sc.len > 31)
		ktap_bail("stale_index takes tun or tap, a length of 2 to 31");
	sl.sc.queues = 2;
	ktap_plan(sl.give == GIVE_ALL ? 4 : 2);
	netns_enter();
	bench_open(&sl.bench, &sl.sc, "stale0");
	tuntap_nonblock(sl.bench.fd[0]);
	tuntap_nonblock(sl.bench.fd[1]);
	bench_sender(&sl.bench, &sl.sc, &sl.sender, false);
	drops_start("FULL_RING");
	stale(&sl);
	drops_stop();
	sender_close(&sl.sender);
	bench_close(&sl.bench);
	return ktap_status();
}
