/*
 * Safe copy: touching memory that may turn out not to be there.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A mapped host file can be shortened by somebody else while it is read, and a
 * space's own memory may be protected by its owner: the access then raises
 * SIGBUS or SIGSEGV.  These functions turn the signal into an outcome.  The
 * first call installs handlers for both signals; a signal that did not come
 * from a safe copy is passed to the handler that was there before, or kills the
 * process as it would have without this.
 *
 * Locks: none; any thread.  Not to be called with the two signals blocked.
 */
#ifndef MSN_BLOCK_SAFECOPY_H
#define MSN_BLOCK_SAFECOPY_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

enum msn_safecopy_error {
	MSN_SAFECOPY_E_BUS = 1,	  /* SIGBUS: past the end, or an I/O error */
	MSN_SAFECOPY_E_FAULT = 2, /* SIGSEGV: not mapped, or protected */
};

/*
 * Copies @len bytes.  0, or an outcome with *@done bytes copied for certain
 * (whole pages before the fault, in both buffers); bytes past them may or may
 * not have been written.
 */
MSN_MUST_CHECK int msn_safecopy(void *dst, const void *src, size_t len,
				size_t *done);

/* Writes @len zero bytes; outcomes as above. */
MSN_MUST_CHECK int msn_safezero(void *dst, size_t len, size_t *done);

/*
 * Atomic compare-and-swap of 32 bits, sequentially consistent.  *@seen becomes
 * what was there; the swap happened if that equals @expected.  Before: @at is a
 * multiple of 4.
 */
MSN_MUST_CHECK int msn_safecas32(uint32_t *at, uint32_t expected,
				 uint32_t desired, uint32_t *seen);

/* Atomic load of 32 bits, sequentially consistent; the same rules. */
MSN_MUST_CHECK int msn_safeload32(const uint32_t *at, uint32_t *value);

#endif /* MSN_BLOCK_SAFECOPY_H */
