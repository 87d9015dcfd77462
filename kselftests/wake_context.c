// SPDX-License-Identifier: GPL-2.0-only
/*
 * A reader that makes room has the next frame put into the ring before its
 * read() returns: what it wakes is carried out in its own context. Left to
 * ksoftirqd, each frame would cost it a sleep. So it is with vhost-net and its
 * worker. Reader, worker and sender share a CPU.
 */
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "run.h"
#include "task.h"

#define WAITING 200U
#define FRAMES 150U

int main(int argc, char **argv)
{
	int tid = (int)syscall(SYS_gettid), cpu[CPU_SETSIZE];
	unsigned int held, want, got;
	struct run x;
	u64 switches;

	scenario_defaults(&x.sc);
	/* Each frame that is read makes room, and there is no other. */
	x.sc.len = 1;
	scenario_options(&x.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x.sc);
	if (!run_has_backlog(&x) || x.sc.len != 1)
		ktap_bail("wake_context takes tun or tap, a qdisc, a ring of 1");
	ktap_plan(3);
	cpus_allowed(cpu, CPU_SETSIZE);
	cpu_pin(cpu[0]);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "wake0");
	if (x.sc.reader == READER_VHOST) {
		vhost_workers(&tid, 1);
		vhost_place(cpu, 1);
	}
	run_send(&x, 1 + WAITING);
	held = (unsigned int)run_backlog(&x);
	ktap_ok(held == WAITING, "%u of %u wait in the qdisc", held, WAITING);
	/* What was dropped, right or wrong, nobody need wait for. */
	want = held < FRAMES ? held : FRAMES;
	switches = task_switches(tid);
	reader_start(&x.r);
	got = reader_take(&x.r, want);
	switches = task_switches(tid) - switches;
	ktap_ok(got == FRAMES, "%u of %u are read", got, FRAMES);
	ktap_ok(2 * switches < FRAMES, "the reader leaves its CPU %llu times for them",
		switches);
	ktap_figure("switches", (long long)switches, NULL);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
