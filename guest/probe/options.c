/*
 * The command line, NAME=VALUE words between spaces.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>
#include "options.h"

/* The text after `name` at the start of `word`, or NULL. */
static const char *option_value(const char *word, const char *name)
{
    while (*name) {
        if (*word++ != *name++) {
            return NULL;
        }
    }
    return word;
}

static bool word_end(char c)
{
    return c == '\0' || c == ' ';
}

static bool number_parse(const char *text, uint64_t *number)
{
    uint64_t result = 0;

    if (word_end(*text)) {
        return false;
    }
    for (; !word_end(*text); text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        result = result * 10 + (*text - '0');
    }
    *number = result;
    return true;
}

static bool order_parse(const char *text, Order *order)
{
    static const char *const names[] = {
        [ORDER_SEQUENTIAL] = "sequential",
        [ORDER_RANDOM] = "random",
        [ORDER_SCATTERED] = "scattered",
        [ORDER_SKEWED] = "skewed",
    };

    for (Order i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *end = option_value(text, names[i]);

        if (end && word_end(*end)) {
            *order = i;
            return true;
        }
    }
    return false;
}

static bool word_parse(Options *options, const char *word)
{
    struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {
        { "fill=", &options->fill },
        { "set=", &options->set },
        { "rings=", &options->rings },
        { "rate=", &options->rate },
        { "beat=", &options->beat },
        { "timer=", &options->timer },
        { "pulse=", &options->pulse },
        { "halt=", &options->halt },
        { "tell=", &options->tell },
        { "break=", &options->break_us },
    };
    const char *value = option_value(word, "order=");

    if (value) {
        return order_parse(value, &options->order);
    }
    for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        value = option_value(word, numbers[i].name);
        if (value) {
            return number_parse(value, numbers[i].number);
        }
    }
    return false;
}

const char *options_parse(Options *options, const char *line)
{
    *options = (Options) { .fill = UINT64_MAX, .beat = 500 };

    while (*line) {
        if (!word_end(*line)) {
            if (!word_parse(options, line)) {
                return line;
            }
            while (!word_end(*line)) {
                line++;
            }
        } else {
            line++;
        }
    }
    if (!options->beat) {
        return "beat=0";
    }
    return NULL;
}
