/*
 * Elements of an array of device state that repeat the one before are counted,
 * not sent
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "migration/qemu-file.h"
#include "system/runstate.h"
#include "repeats.h"
#include "trace.h"

/*
 * Source: of this migration, which has a thread of its own.  What other threads
 * save, to a snapshot for example, is as stock saves it.
 */
static __thread bool is_saving;

/* Destination: the record has come, in this stream or an earlier one. */
static bool is_loading;

void nfv_repeats_set_saving(bool on)
{
    is_saving = on;
}

void nfv_repeats_set_loading(bool on)
{
    is_loading = on;
}

bool nfv_repeats_saves(void)
{
    return is_saving;
}

bool nfv_repeats_loads(void)
{
    return is_loading && runstate_check(RUN_STATE_INMIGRATE);
}

/* The next chunk of @n elements that are left. */
static int chunk(const NfvVmstatePlan *plan, int n)
{
    return MIN(n, NFV_REPEATS_CHUNK / plan->wire);
}

/* How many of @n elements of @size bytes are left without the repeats. */
static int count_distinct(const uint8_t *elements, size_t size, int n)
{
    while (n > 1 && !memcmp(elements + (n - 1) * size,
                            elements + (n - 2) * size, size)) {
        n--;
    }
    return n;
}

void nfv_repeats_save(QEMUFile *f, const NfvVmstatePlan *plan,
                      const void *elements, int n)
{
    g_autofree uint8_t *out = g_malloc((size_t)chunk(plan, n) * plan->wire);

    for (int now; n; n -= now, elements += (size_t)now * plan->stride) {
        int count;

        now = chunk(plan, n);
        nfv_vmstate_encode(plan, elements, now, out);
        count = count_distinct(out, plan->wire, now);
        trace_nfv_repeats_save(count, now);
        qemu_put_be32(f, count);
        qemu_put_buffer(f, out, (size_t)count * plan->wire);
    }
}

/* No structure of an array that is sent like this has subsections. */
static NfvVmstatePlan without_ends(const NfvVmstatePlan *plan)
{
    NfvVmstatePlan copy = *plan;

    for (unsigned s = 0; s < copy.n_steps; s++) {
        if (copy.steps[s].kind == NFV_VMSTATE_END) {
            copy.steps[s].kind = NFV_VMSTATE_UNUSED;
            copy.steps[s].count = 0;
        }
    }
    copy.has_end = false;
    return copy;
}

static bool coroutine_mixed_fn load_chunk(QEMUFile *f,
                                          const NfvVmstatePlan *plan,
                                          void *elements, int n)
{
    uint32_t count = qemu_get_be32(f);
    g_autofree uint8_t *in = NULL;
    size_t size;

    if (qemu_file_get_error(f)) {
        error_report("an array of device state is cut off");
        return false;
    }
    if (count < 1 || count > n) {
        error_report("%u elements of device state come for %d of an array",
                     count, n);
        return false;
    }
    size = (size_t)count * plan->wire;
    in = g_malloc(size);
    if (qemu_get_buffer(f, in, size) != size) {
        error_report("an array of device state is cut off");
        return false;
    }
    nfv_vmstate_decode(plan, in, count, elements);
    for (int i = count; i < n; i++) {
        nfv_vmstate_decode(plan, in + size - plan->wire, 1,
                           elements + (size_t)i * plan->stride);
    }
    trace_nfv_repeats_load(count, n);
    return true;
}

bool coroutine_mixed_fn nfv_repeats_load(QEMUFile *f,
                                         const NfvVmstatePlan *plan,
                                         void *elements, int n)
{
    NfvVmstatePlan plain = without_ends(plan);

    for (int now; n; n -= now, elements += (size_t)now * plan->stride) {
        now = chunk(plan, n);
        if (!load_chunk(f, &plain, elements, now)) {
            qemu_file_set_error(f, -EINVAL);
            return false;
        }
    }
    return true;
}
