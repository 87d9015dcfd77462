// SPDX-License-Identifier: GPL-2.0-only
/*
 * A large frame for a device that takes none is cut into segments, and the ring
 * has no room for the last of them. The reader that sleeps is told of those that
 * are there, and of what comes later; where there is a qdisc, the others wait in
 * it.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/virtio_net.h>

#include "drops.h"
#include "gso.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "task.h"

struct sleeper {
	struct scenario sc;
	struct bench bench;
	int to;			/* a packet socket at the far end */
	struct sockaddr_ll far;
	struct gso gso;
	u64 got;
	int tid;
	bool stop;
	pthread_t thread;
};

static void *read_all(void *arg)
{
	struct sleeper *sl = arg;
	char buf[GSO_MAX];

	shared_set(sl->tid, (int)syscall(SYS_gettid));
	while (read(sl->bench.fd[0], buf, sizeof(buf)) >= 0 &&
	       !shared_get(sl->stop))
		shared_add(sl->got, 1);
	return NULL;
}

/*
 * It has taken all of @n, and sleeps. Of a tun's or tap's some may be lost on
 * stock, if the reader does not make room in time: they count as taken.
 */
static bool sleeps(const struct sleeper *sl, u64 n)
{
	bool own = scenario_owns_queue(&sl->sc);
	struct stall st;
	u64 got;

	stall_start(&st, sl->sc.stall_ms);
	do {
		got = shared_get(sl->got) + (own ? drops_count() : 0);
		if (got == n && task_sleeps(&sl->tid))
			return true;
		stall_breathe();
	} while (!stall_over(&st));
	return false;
}

static void send_large(struct sleeper *sl)
{
	u8 buf[GSO_MAX];
	size_t len = gso_build(buf, &sl->gso);

	if (sl->gso.ether)
		netdev_mac(sl->bench.dev, buf + sizeof(struct virtio_net_hdr));
	if (sendto(sl->to, buf, len, 0, (struct sockaddr *)&sl->far,
		   sizeof(sl->far)) < 0)
		ktap_bail("send: %s", strerror(errno));
	sl->gso.seq++;
}

int main(int argc, char **argv)
{
	struct sleeper sl = {};
	struct netdev_stats dev;
	bool told = true;
	struct sender s;
	unsigned int i, fit;
	u64 n = 0;

	scenario_defaults(&sl.sc);
	sl.sc.dev = DEV_MACVTAP;
	sl.sc.len = GSO_SEGMENTS - 1;
	scenario_options(&sl.sc, argc, argv, NULL, 0);
	if (sl.sc.dev == DEV_IPVTAP || sl.sc.len >= GSO_SEGMENTS || !sl.sc.len)
		ktap_bail("not ipvtap, and a length of 1 to %d", GSO_SEGMENTS - 1);
	if (scenario_owns_queue(&sl.sc) && !qdisc_holds(sl.sc.qdisc))
		ktap_bail("tun and tap: a qdisc, else the reader makes room meanwhile");
	fit = scenario_owns_queue(&sl.sc) ? GSO_SEGMENTS : sl.sc.len;
	ktap_plan(3);
	netns_enter();
	bench_open(&sl.bench, &sl.sc, "cut0");
	bench_sender(&sl.bench, &sl.sc, &s, false);
	sl.to = gso_socket(sl.bench.via, &sl.far);
	sl.gso.ether = scenario_ether(&sl.sc);
	sl.gso.kind = GSO_TCP;
	sl.gso.cookie = sl.bench.cookie;
	drops_start("FULL_RING");
	if (pthread_create(&sl.thread, NULL, read_all, &sl))
		ktap_bail("no thread");
	for (i = 0; i < 8 && told; i++) {
		told = sleeps(&sl, n);
		send_large(&sl);
		n += fit;
	}
	told = told && sleeps(&sl, n);
	ktap_ok(told, "a sleeping reader is told of the segments: %llu of %llu",
		shared_get(sl.got), n);
	netdev_stats(sl.bench.dev, &dev);
	ktap_figure("dropped", (long long)(dev.rx_dropped + dev.tx_dropped), NULL);
	ktap_figure("freed", (long long)drops_count(), NULL);
	if (scenario_owns_queue(&sl.sc))
		ktap_skip("that is for gso_frames", "the others wait");
	else
		ktap_ok(drops_count() == i * (GSO_SEGMENTS - fit),
			"as many FULL_RING drops as there are others: %llu",
			drops_count());
	sender_send(&s);
	told = sleeps(&sl, ++n);
	ktap_ok(told, "and of a frame after them: %llu of %llu", shared_get(sl.got), n);
	shared_set(sl.stop, true);
	sender_send(&s);
	if (told)
		pthread_join(sl.thread, NULL);
	sender_close(&s);
	close(sl.to);
	bench_close(&sl.bench);
	drops_stop();
	return ktap_status();
}
