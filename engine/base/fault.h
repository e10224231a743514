/*
 * Fault points: named places where a test makes the next line fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    if (msn_fault("pack.append"))
 *            return msn_fail(-EIO);
 *
 * A test arms them by number, not by name: "fail the n-th point that is
 * reached", for n = 1, 2, ... until a run reaches fewer than n points.  That
 * walks every failure path of an operation without listing the paths.
 * Compiled out unless MSN_FAULTS is set.
 */
#ifndef MSN_BASE_FAULT_H
#define MSN_BASE_FAULT_H

#include <stdbool.h>

#ifdef MSN_FAULTS
bool msn_fault(const char *name);

/* Fails the @nth point that this thread reaches from now on; 0 disarms. */
void msn_fault_arm(unsigned nth);

/* Name of the point that fired since msn_fault_arm(), or NULL. */
const char *msn_fault_fired(void);
#else
#define msn_fault(name) false
#endif

#endif /* MSN_BASE_FAULT_H */
