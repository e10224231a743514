/*
 * Safe copy: signal handlers with recovery per thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bytes are moved by one plain memcpy().  Around it the thread publishes
 * where to go when a page is missing; the handler, finding that and a fault
 * address inside the two buffers, jumps there.  memcpy() moves bytes in an
 * order of its own, so the fault alone does not tell what has been copied: the
 * copy is done once more up to the page that faulted, until one goes through.
 * Each turn is shorter, and a buffer with one hole takes two.
 *
 * The handlers are installed with SA_NODEFER and an empty mask, so that a fault
 * inside a handler that runs below this one can be recovered from too.  Before
 * it jumps the handler puts the mask back that the copy ran with: somebody who
 * wraps it (a sanitizer does) may have blocked more.  SA_ONSTACK, so that a
 * thread that overflowed its stack still reaches the handler that was there
 * before this one.
 */
#include "block/safecopy.h"

#include "base/assert.h"
#include "range/range.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

enum attempt_kind { ATTEMPT_COPY, ATTEMPT_ZERO, ATTEMPT_SWAP, ATTEMPT_LOAD };

/* What one attempt does. */
struct attempt {
	enum attempt_kind kind;
	void *dst;	 /* not of a load */
	const void *src; /* of a copy or a load */
	size_t len;
	uint32_t expected, desired; /* of a swap; a load leaves @expected */
};

struct recovery {
	sigjmp_buf env;
	const struct attempt *attempt; /* where faults are expected */
	volatile uintptr_t fault;      /* written by the handler; 0: unknown */
};

/*
 * What this thread is to do about a fault now.  Initial-exec, because the
 * handler must not allocate a thread's copy of it.
 */
static _Thread_local struct recovery *volatile current
	__attribute__((tls_model("initial-exec")));

enum { SIG_BUS, SIG_SEGV, SIG_COUNT };

static const int signals[SIG_COUNT] = { SIGBUS, SIGSEGV };
static struct sigaction previous[SIG_COUNT]; /* set once, by install() */
static atomic_bool spent[SIG_COUNT]; /* a previous SA_RESETHAND was used */

static bool is_in(uintptr_t at, const void *start, size_t len)
{
	return at - (uintptr_t)start < len;
}

static bool attempt_meets_dst(const struct attempt *a, uintptr_t at)
{
	return a->kind != ATTEMPT_LOAD && is_in(at, a->dst, a->len);
}

static bool attempt_meets_src(const struct attempt *a, uintptr_t at)
{
	return (a->kind == ATTEMPT_COPY || a->kind == ATTEMPT_LOAD) &&
	       is_in(at, a->src, a->len);
}

/* Raised by the instruction that runs now, and again if it runs again? */
static bool is_synchronous(int sig, const siginfo_t *info)
{
	return info->si_code > 0 &&
	       !(sig == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/*
 * Is this signal a fault of the attempt under way?  An address that the
 * processor cannot even form is reported without the address.
 */
static bool is_ours(const struct recovery *r, int sig, const siginfo_t *info)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	if (!r || !is_synchronous(sig, info))
		return false;
	return info->si_code == SI_KERNEL ||
	       attempt_meets_dst(r->attempt, at) ||
	       attempt_meets_src(r->attempt, at);
}

/* Ends the process the way it would have ended without a handler. */
static void die_of(int sig, const siginfo_t *info)
{
	signal(sig, SIG_DFL);
	/* A fault happens again on return; anything else does not. */
	if (!is_synchronous(sig, info))
		raise(sig);
}

static void call_handler(const struct sigaction *to, int sig, siginfo_t *info,
			 void *context)
{
	sigset_t mask = to->sa_mask, old;

	if (!(to->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	if (to->sa_flags & SA_SIGINFO)
		to->sa_sigaction(sig, info, context);
	else
		to->sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Does what the disposition before ours would have done. */
static void pass_on(int which, siginfo_t *info, void *context)
{
	const struct sigaction *to = &previous[which];
	int sig = signals[which];
	bool handler = (to->sa_flags & SA_SIGINFO) ||
		       (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN);

	if (handler && (to->sa_flags & (int)SA_RESETHAND))
		handler = !atomic_exchange(&spent[which], true);
	if (handler)
		call_handler(to, sig, info, context);
	else if (to->sa_handler != SIG_IGN || is_synchronous(sig, info))
		die_of(sig, info);
}

static void handle(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	struct recovery *r = current;

	if (is_ours(r, sig, info)) {
		r->fault = info->si_code == SI_KERNEL
				   ? 0
				   : (uintptr_t)info->si_addr;
		pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL);
		siglongjmp(r->env, sig == SIGBUS ? MSN_SAFECOPY_E_BUS
						 : MSN_SAFECOPY_E_FAULT);
	}
	pass_on(sig == SIGBUS ? SIG_BUS : SIG_SEGV, info, context);
}

static void install(void)
{
	for (int i = 0; i < SIG_COUNT; i++) {
		struct sigaction sa = {
			.sa_sigaction = handle,
			.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
		};

		sigemptyset(&sa.sa_mask);
		msn_assert(sigaction(signals[i], NULL, &previous[i]) == 0);
		/* A sent signal interrupts system calls as it did before. */
		sa.sa_flags |= previous[i].sa_flags & SA_RESTART;
		msn_assert(sigaction(signals[i], &sa, NULL) == 0);
	}
}

/*
 * The thread sanitizer does an atomic operation with a lock of its own held,
 * which a fault in the middle of it would leave taken.
 */
#define NO_LOCKED_ATOMICS __attribute__((no_sanitize("thread"), noinline))

NO_LOCKED_ATOMICS static void attempt_swap(struct attempt *a)
{
	__atomic_compare_exchange_n((uint32_t *)a->dst, &a->expected,
				    a->desired, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
}

NO_LOCKED_ATOMICS static void attempt_load(struct attempt *a)
{
	a->expected =
		__atomic_load_n((const uint32_t *)a->src, __ATOMIC_SEQ_CST);
}

static void attempt_run(struct attempt *a)
{
	switch (a->kind) {
	case ATTEMPT_COPY:
		memcpy(a->dst, a->src, a->len);
		break;
	case ATTEMPT_ZERO:
		memset(a->dst, 0, a->len);
		break;
	case ATTEMPT_SWAP:
		attempt_swap(a);
		break;
	case ATTEMPT_LOAD:
		attempt_load(a);
		break;
	}
}

/* 0, or the outcome with *@fault the address that could not be touched. */
static int attempt_guarded(struct attempt *a, uintptr_t *fault)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	/* Not NULL when a signal handler copies in the middle of a copy. */
	struct recovery *outer = current;
	struct recovery here = { .attempt = a };
	int why;

	pthread_once(&once, install);
	why = sigsetjmp(here.env, 0);
	if (why) {
		current = outer;
		*fault = here.fault;
		return why;
	}
	/* The handler runs in this thread: fences for the compiler suffice. */
	current = &here;
	atomic_signal_fence(memory_order_seq_cst);
	attempt_run(a);
	atomic_signal_fence(memory_order_seq_cst);
	current = outer;
	return 0;
}

/* Bytes of @a before the page of @fault, in the buffer that it lies in. */
static size_t attempt_before(const struct attempt *a, uintptr_t fault)
{
	uintptr_t page = (uintptr_t)msn_page_down(fault);
	uintptr_t start;

	if (attempt_meets_dst(a, fault))
		start = (uintptr_t)a->dst;
	else if (attempt_meets_src(a, fault))
		start = (uintptr_t)a->src;
	else
		return 0;
	return page > start ? page - start : 0;
}

static int attempt_all(struct attempt *a, size_t *done)
{
	uintptr_t fault = 0;
	int why = 0, rc;

	while (a->len) {
		rc = attempt_guarded(a, &fault);
		if (!rc)
			break;
		why = rc;
		a->len = attempt_before(a, fault);
	}
	*done = a->len;
	return why;
}

int msn_safecopy(void *dst, const void *src, size_t len, size_t *done)
{
	struct attempt a = {
		.kind = ATTEMPT_COPY,
		.dst = dst,
		.src = src,
		.len = len,
	};

	return attempt_all(&a, done);
}

int msn_safezero(void *dst, size_t len, size_t *done)
{
	struct attempt a = { .kind = ATTEMPT_ZERO, .dst = dst, .len = len };

	return attempt_all(&a, done);
}

int msn_safecas32(uint32_t *at, uint32_t expected, uint32_t desired,
		  uint32_t *seen)
{
	struct attempt a = {
		.kind = ATTEMPT_SWAP,
		.dst = at,
		.len = sizeof(*at),
		.expected = expected,
		.desired = desired,
	};
	uintptr_t fault;
	int rc;

	msn_assert((uintptr_t)at % sizeof(*at) == 0);
	rc = attempt_guarded(&a, &fault);
	if (!rc)
		*seen = a.expected;
	return rc;
}

int msn_safeload32(const uint32_t *at, uint32_t *value)
{
	struct attempt a = { .kind = ATTEMPT_LOAD,
			     .src = at,
			     .len = sizeof(*at) };
	uintptr_t fault;
	int rc;

	msn_assert((uintptr_t)at % sizeof(*at) == 0);
	rc = attempt_guarded(&a, &fault);
	if (!rc)
		*value = a.expected;
	return rc;
}
