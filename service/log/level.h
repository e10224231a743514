/*
 * Level: time for what expires.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_LOG_LEVEL_H
#define MSN_LOG_LEVEL_H

#include "log/log.h"

/* CLOCK_MONOTONIC; tests put a clock of theirs here. */
extern uint64_t (*msn_log_clock_ms)(void);

#endif /* MSN_LOG_LEVEL_H */
