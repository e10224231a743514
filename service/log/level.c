/*
 * Levels: one word of memory for each component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A word holds the level that was set to stay, one that holds for a while, and
 * until when; so whoever asks reads one word and takes no lock, and no timer
 * has to put anything back.  Zero, what memory starts with, is level info.
 */
#include "level.h"

#include "base/assert.h"

#include <string.h>
#include <time.h>

#define UNTIL_SHIFT 8 /* ms of CLOCK_MONOTONIC; 0: no level for a while */
#define BRIEF_SHIFT 4
#define LEVEL_MASK UINT64_C(15)
#define UNTIL_MAX (UINT64_MAX >> UNTIL_SHIFT)

static _Atomic uint64_t words[MSN_LOG_COMPONENTS];

static const char *const component_names[] = {
	[MSN_LOG_DAEMON] = "daemon",
	[MSN_LOG_CONFIG] = "config",
	[MSN_LOG_AUTH] = "auth",
	[MSN_LOG_WIRE] = "wire",
	[MSN_LOG_RPC] = "rpc",
	[MSN_LOG_SPACES] = "spaces",
	[MSN_LOG_OPERATIONS] = "operations",
	[MSN_LOG_STORAGE] = "storage",
	[MSN_LOG_EVENTS] = "events",
	[MSN_LOG_ITSELF] = "log",
};
static const char *const level_names[] = {
	[MSN_LOG_ERROR] = "error",
	[MSN_LOG_WARNING] = "warning",
	[MSN_LOG_INFO] = "info",
	[MSN_LOG_DEBUG] = "debug",
};

_Static_assert(MSN_ARRAY_LEN(component_names) == MSN_LOG_COMPONENTS,
	       "every component has a name");

const char *msn_log_component_name(enum msn_log_component component)
{
	msn_assert(component < MSN_LOG_COMPONENTS);
	return component_names[component];
}

bool msn_log_component_find(const char *name, enum msn_log_component *out)
{
	for (unsigned c = 0; c < MSN_LOG_COMPONENTS; c++) {
		if (strcmp(component_names[c], name) == 0) {
			*out = (enum msn_log_component)c;
			return true;
		}
	}
	return false;
}

const char *msn_log_level_name(enum msn_log_level level)
{
	return level < MSN_ARRAY_LEN(level_names) ? level_names[level] : NULL;
}

bool msn_log_level_find(const char *name, enum msn_log_level *out)
{
	for (unsigned l = MSN_LOG_ERROR; l <= MSN_LOG_DEBUG; l++) {
		if (strcmp(level_names[l], name) == 0) {
			*out = (enum msn_log_level)l;
			return true;
		}
	}
	return false;
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t (*msn_log_clock_ms)(void) = monotonic_ms;

static enum msn_log_level or_info(uint64_t level)
{
	return level ? (enum msn_log_level)level : MSN_LOG_INFO;
}

/* What @word says now. */
static enum msn_log_level word_level(uint64_t word)
{
	uint64_t until = word >> UNTIL_SHIFT;

	if (until && msn_log_clock_ms() < until)
		return or_info(word >> BRIEF_SHIFT & LEVEL_MASK);
	return or_info(word & LEVEL_MASK);
}

static uint64_t word_with(uint64_t old, enum msn_log_level level,
			  uint64_t for_ms)
{
	uint64_t now, until;

	if (!for_ms)
		return level;
	now = msn_log_clock_ms();
	until = for_ms < UNTIL_MAX - now ? now + for_ms : UNTIL_MAX;
	return until << UNTIL_SHIFT | (uint64_t)level << BRIEF_SHIFT |
	       (old & LEVEL_MASK);
}

static enum msn_log_level set_one(unsigned component, enum msn_log_level level,
				  uint64_t for_ms)
{
	/* Relaxed: a level orders nothing but itself. */
	uint64_t old =
		atomic_load_explicit(&words[component], memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		&words[component], &old, word_with(old, level, for_ms),
		memory_order_relaxed, memory_order_relaxed))
		;
	return word_level(old);
}

enum msn_log_level msn_log_set_level(enum msn_log_component component,
				     enum msn_log_level level, uint64_t for_ms)
{
	enum msn_log_level most = 0;

	msn_assert(component <= MSN_LOG_ALL);
	msn_assert(level >= MSN_LOG_ERROR && level <= MSN_LOG_DEBUG);
	if (component != MSN_LOG_ALL)
		return set_one(component, level, for_ms);
	for (unsigned c = 0; c < MSN_LOG_COMPONENTS; c++) {
		enum msn_log_level before = set_one(c, level, for_ms);

		most = before > most ? before : most;
	}
	return most;
}

enum msn_log_level msn_log_level(enum msn_log_component component)
{
	msn_assert(component < MSN_LOG_COMPONENTS);
	return word_level(
		atomic_load_explicit(&words[component], memory_order_relaxed));
}

bool msn_log_wanted(const struct msn_log_message *m)
{
	return m->level <= msn_log_level(m->component);
}
