/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Stop and wake of the bundled series, small enough to be searched completely. docs/model.md says
 * what is modelled and what is not, and how to read a trail. test_stop_wake.py runs it.
 *
 * Sizes: RING slots, cleared BATCH at a time, FRAMES frames.
 *
 * Memory order, one of:
 *   (none)   what the kernel promises: set_bit() orders nothing, a lock is an acquire, an unlock a
 *            release; stores of one CPU become visible in order
 *   REORDER  the same, and stores of one CPU overtake each other, though not one to the same place
 *            and none by way of an unlock
 *   X86      every atomic is a locked instruction and drains the store buffer
 *
 * Steps taken out: NO_SECOND_LOOK, NO_BARRIER_AFTER_STOP, NO_BARRIER_IN_READER, WAKE_WITHOUT_LOOK,
 * LOOK_WITHOUT_LOCK, NO_WAKE. Other designs: V7 (the reader wakes without a look, a late frame is
 * handed back), LATE_DROP (the same, and it is dropped).
 *
 * START_NOT_WAKE: the sender's second look only clears XOFF. No fault with one sender.
 *
 * START_FULL: the queue runs over a full ring to begin with, as after XDP frames or a new qdisc.
 * BUSY_ALLOWED: how many times NETDEV_TX_BUSY is no fault.
 */

#ifndef RING
#define RING 2
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef FRAMES
#define FRAMES 5
#endif

#ifndef BUSY_ALLOWED
#define BUSY_ALLOWED 0
#endif

#ifdef LATE_DROP
#define V7
#endif

/* The CPUs, and what their stores can be to. slot[] is last; 0 is an empty slot, else the frame. */
#define SENDER 0
#define READER 1

#define PRODUCER_LOCK 0
#define CONSUMER_LOCK 1
#define XOFF 2
#define PRODUCER 3
#define SLOT 4

byte mem[SLOT + RING];

/* Store buffers, oldest entry first. They never get as long as DEPTH; an assertion says so. */
#define DEPTH 6

typedef buffer {
	byte n;
	byte to[DEPTH];
	byte val[DEPTH];
}
buffer sb[2];

#define DRAINED(cpu) (sb[cpu].n == 0)

byte to_come = FRAMES;	/* what the application has not sent yet */
byte backlog;		/* what waits in the qdisc */
bit sched;		/* __QDISC_STATE_SCHED: NET_TX will run the qdisc */
byte received;
byte busy;		/* answers NETDEV_TX_BUSY */

/* What the memory does, seen from a CPU */

inline name(cpu)
{
	if
	:: cpu == SENDER -> printf("sender: ")
	:: else -> printf("reader: ")
	fi
}

inline tell(place, value)
{
	if
	:: place == PRODUCER_LOCK -> printf("unlock of producer_lock")
	:: place == CONSUMER_LOCK -> printf("unlock of consumer_lock")
	:: place == XOFF -> printf("XOFF")
	:: place == PRODUCER -> printf("ring->producer = %d", value)
	:: place >= SLOT && value != 0 -> printf("frame %d in slot %d", value, place - SLOT)
	:: place >= SLOT && value == 0 -> printf("clearing of slot %d", place - SLOT)
	fi
}

/* The newest entry in the own buffer, else the memory. Inside a d_step, as all that follows. */
inline read(cpu, place, into)
{
	into = mem[place];
	i = 0;
	do
	:: i < sb[cpu].n ->
		if
		:: sb[cpu].to[i] == place -> into = sb[cpu].val[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline write(cpu, place, value)
{
	assert(sb[cpu].n < DEPTH);
	sb[cpu].to[sb[cpu].n] = place;
	sb[cpu].val[sb[cpu].n] = value;
	sb[cpu].n++
}

#define PASSES(cpu, a, b) \
	(b >= a || sb[cpu].to[a] != sb[cpu].to[b])
/* An unlock (the two lowest places) waits for all before it. */
#define MAY_LAND(cpu, a) \
	(sb[cpu].n > a && (a == 0 || sb[cpu].to[a] > CONSUMER_LOCK) && \
	 PASSES(cpu, a, 0) && PASSES(cpu, a, 1) && PASSES(cpu, a, 2) && \
	 PASSES(cpu, a, 3) && PASSES(cpu, a, 4))

inline land(cpu, which)
{
	d_step {
		MAY_LAND(cpu, which) ->
		if
		:: cpu == SENDER -> printf("memory: the sender's ")
		:: else -> printf("memory: the reader's ")
		fi;
		tell(sb[cpu].to[which], sb[cpu].val[which]);
		printf(" becomes visible\n");
		mem[sb[cpu].to[which]] = sb[cpu].val[which];
		i = which;
		do
		:: i + 1 < sb[cpu].n ->
			sb[cpu].to[i] = sb[cpu].to[i + 1];
			sb[cpu].val[i] = sb[cpu].val[i + 1];
			i++
		:: else -> break
		od;
		sb[cpu].n--;
		sb[cpu].to[sb[cpu].n] = 0;
		sb[cpu].val[sb[cpu].n] = 0;
		i = 0
	}
}

active proctype memory()
{
	byte i;

end:	do
	:: land(SENDER, 0)
	:: land(READER, 0)
#ifdef REORDER
	:: land(SENDER, 1)
	:: land(SENDER, 2)
	:: land(SENDER, 3)
	:: land(SENDER, 4)
	:: land(SENDER, 5)
	:: land(READER, 1)
	:: land(READER, 2)
	:: land(READER, 3)
	:: land(READER, 4)
	:: land(READER, 5)
#endif
	od
}

/* What the kernel offers */

#ifdef X86
#define LOCKED_INSTRUCTION(cpu) DRAINED(cpu)
#else
#define LOCKED_INSTRUCTION(cpu) true
#endif

inline smp_mb(cpu)
{
	DRAINED(cpu)
}

inline spin_lock(cpu, lock)
{
	d_step {
		LOCKED_INSTRUCTION(cpu) && mem[lock] == 0 ->
		mem[lock] = 1;
		name(cpu);
		if
		:: lock == PRODUCER_LOCK -> printf("takes producer_lock\n")
		:: else -> printf("takes consumer_lock\n")
		fi
	}
}

inline spin_unlock(cpu, lock)
{
	d_step {
		write(cpu, lock, 0)
	}
}

/* set_bit() */
inline netif_tx_stop_queue()
{
#ifdef X86
	d_step {
		DRAINED(SENDER) ->
		printf("sender: sets XOFF\n");
		mem[XOFF] = 1
	}
#else
	d_step {
		printf("sender: sets XOFF (into its store buffer)\n");
		write(SENDER, XOFF, 1)
	}
#endif
}

/* test_and_clear_bit(), then test_and_set_bit() in __netif_schedule(): full barriers both */
inline netif_tx_wake_queue(cpu)
{
	d_step {
		DRAINED(cpu) ->
		was = mem[XOFF];
		mem[XOFF] = 0;
		name(cpu);
		if
		:: was -> printf("clears XOFF, the queue is awake\n")
		:: else -> printf("finds XOFF clear already, does nothing\n")
		fi
	};
	if
	:: d_step { was -> sched = 1; was = 0 }
	:: else
	fi
}

/* tun_ring_full(), by the only one who writes ring->producer */
inline sender_looks()
{
	d_step {
		read(SENDER, PRODUCER, at);
		read(SENDER, SLOT + at, taken);
		if
		:: taken -> printf("sender: looks: slot %d is taken, the ring is full\n", at)
		:: else -> printf("sender: looks: slot %d is empty\n", at)
		fi
	}
}

inline forget_look()
{
	d_step {
		taken = 0;
		at = 0
	}
}

/* What follows once a look has found the ring full; taken tells afterwards whether it still is. */
inline stop_and_look_again()
{
	netif_tx_stop_queue();
#ifndef NO_SECOND_LOOK
#ifndef NO_BARRIER_AFTER_STOP
	smp_mb(SENDER);		/* smp_mb__after_atomic() */
#endif
	sender_looks();
	if
#ifdef START_NOT_WAKE
	:: d_step {
		!taken && DRAINED(SENDER) ->
		printf("sender: clears XOFF\n");
		mem[XOFF] = 0
	   }
#else
	:: !taken -> netif_tx_wake_queue(SENDER)
#endif
	:: taken
	fi
#endif
}

/* tun_net_xmit() of a frame that the qdisc has given out. The first look is also what v7 and v12
 * get to know by a produce that fails.
 */
inline transmit()
{
	spin_lock(SENDER, PRODUCER_LOCK);
	sender_looks();
	if
	:: taken ->
#ifdef LATE_DROP
		printf("sender: DROP: the queue ran over a full ring\n");
		assert(false)
#else
		stop_and_look_again();
#ifdef V7
		taken = 1
#endif
#endif
	:: else
	fi;
	if
	:: taken ->
		spin_unlock(SENDER, PRODUCER_LOCK);
		printf("sender: BUSY: the queue ran over a full ring, frame %d goes back\n",
		       sent + 1);
		assert(busy < BUSY_ALLOWED);
		d_step {
			busy++;
			sched = 1	/* dev_requeue_skb() */
		}
	:: else ->
		d_step {
			read(SENDER, SLOT + at, taken);
			assert(!taken);		/* __ptr_ring_produce() does not fail */
			printf("sender: puts frame %d into slot %d (into its store buffer)\n",
			       sent + 1, at);
			sent++;
			backlog--;
			write(SENDER, SLOT + at, sent)
		};
		d_step {
			write(SENDER, PRODUCER, (at + 1) % RING);
			at = 0
		};
		sender_looks();
		if
		:: taken -> stop_and_look_again()
		:: else
		fi;
		spin_unlock(SENDER, PRODUCER_LOCK)
	fi;
	forget_look()
}

/* Whoever runs the qdisc: an application that sends, or NET_TX after a wake. The qdisc lets one of
 * them in at a time.
 */
active proctype sender()
{
	byte i, at, taken, sent;
	bit was;

#ifdef START_FULL
	d_step {
		do
		:: sent < RING -> mem[SLOT + sent] = sent + 1; sent++
		:: else -> break
		od;
		to_come = FRAMES - RING;
		printf("sender: finds the queue running over a full ring\n")
	};
#endif
end:	do
	:: d_step {
		to_come > 0 ->
		to_come--;
		backlog++;
		printf("sender: frame %d comes to the qdisc\n", FRAMES - to_come)
	   };
	   goto serve
	:: d_step {
		sched && DRAINED(SENDER) ->
		sched = 0;
		printf("sender: NET_TX runs the qdisc\n")
	   };
serve:	   do
	   :: backlog == 0 -> break
	   :: else ->
		d_step {
			read(SENDER, XOFF, taken);
			if
			:: taken ->
				printf("sender: the queue is stopped, %d in the qdisc\n", backlog)
			:: else -> printf("sender: the queue runs\n")
			fi
		};
		if
		:: d_step { taken -> taken = 0 }; break
		:: else -> transmit()
		fi
	   od
	od
}

/* tun_wake_queue() */
inline wake_queue()
{
#ifdef V7
	netif_tx_wake_queue(READER)
#else
#ifndef NO_BARRIER_IN_READER
	smp_mb(READER);
#endif
	d_step {
		read(READER, XOFF, taken);
		if
		:: taken -> printf("reader: reads XOFF: stopped\n")
		:: else -> printf("reader: reads XOFF: the queue runs, no wake\n")
		fi
	};
	if
	:: d_step { taken -> taken = 0 };
#ifndef LOOK_WITHOUT_LOCK
		spin_lock(READER, PRODUCER_LOCK);
#endif
#ifndef WAKE_WITHOUT_LOOK
		d_step { read(READER, PRODUCER, at) };
		d_step {
			read(READER, SLOT + at, taken);
			if
			:: taken -> printf("reader: looks: slot %d is taken, no wake\n", at)
			:: else -> printf("reader: looks: slot %d is empty\n", at)
			fi
		};
#endif
		if
		:: d_step { taken -> taken = 0; at = 0 }
		:: else -> at = 0; netif_tx_wake_queue(READER)
		fi
#ifndef LOOK_WITHOUT_LOCK
		; spin_unlock(READER, PRODUCER_LOCK)
#endif
	:: else
	fi
#endif
}

/* __ptr_ring_consume(): taken is the frame, or 0; room tells whether slots were cleared. All of it
 * is one step, since others see of it only what lands from the store buffer, one store at a time.
 */
inline consume()
{
	d_step {
		read(READER, SLOT + head, taken);
		if
		:: taken ->
			printf("reader: takes frame %d from slot %d\n", taken, head);
			received++;
			assert(taken == received);	/* each once, and in order */
			at = head;
			head++;
			if
			:: head - tail >= BATCH || head >= RING ->
				do
				:: printf("reader: clears slot %d (into its store buffer)\n", at);
				   write(READER, SLOT + at, 0);
				   if
				   :: at == tail -> break
				   :: else -> at--
				   fi
				od;
				tail = head;
				room = 1
			:: else
			fi;
			if
			:: head >= RING ->
				head = 0;
				tail = 0
			:: else
			fi;
			at = 0
		:: else
		fi
	}
}

inline wake_if_room()
{
	if
	:: d_step { room -> room = 0 };
#ifndef NO_WAKE
		wake_queue()
#endif
	:: else
	fi
}

/* tun_ring_recv(), or vhost-net with a batch of any length */
active proctype reader()
{
	byte i, at, taken, head, tail;
	bit was, room, idle;

	do
	:: received == FRAMES -> break
	:: else ->
		spin_lock(READER, CONSUMER_LOCK);
		consume();
		do
		:: taken -> taken = 0; consume()
		:: d_step { taken -> taken = 0 }; break
		:: d_step { !taken -> idle = 1 }; break
		od;
#ifdef V7
		wake_if_room();
		spin_unlock(READER, CONSUMER_LOCK);
#else
		spin_unlock(READER, CONSUMER_LOCK);
		wake_if_room();
#endif
		/* A task goes to sleep behind a full barrier, and a frame in the ring wakes it. */
		if
		:: d_step {
			idle && (received == FRAMES || DRAINED(READER) && mem[SLOT + head] != 0) ->
			idle = 0
		   }
		:: d_step { !idle }
		fi
	od
}

/* At rest all frames have been read, and nothing is stopped over a ring that has room. */
active proctype watch()
{
	timeout ->
	if
	:: received < FRAMES ->
		printf("STALL: %d in the qdisc, XOFF is %d, ", backlog, mem[XOFF]);
		if
		:: mem[SLOT + mem[PRODUCER]] == 0 -> printf("slot %d is empty", mem[PRODUCER])
		:: else -> printf("slot %d is taken", mem[PRODUCER])
		fi;
		printf(", the reader sleeps\n");
		assert(false)
	:: else ->
		assert(!(mem[XOFF] && mem[SLOT + mem[PRODUCER]] == 0))
	fi
}
