/*
 * Map guest memory by the threads of the vCPUs
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "accel/kvm/nfv/prefault.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/core/cpu.h"
#include "system/hostmem.h"
#include "system/kvm.h"
#include "trace.h"

typedef struct Job {
    const GArray *ranges; /* of NfvRange */
    unsigned index, count;
    NfvPrefault result;
} Job;

/*
 * Only what has its pages already: mapping the rest would allocate it, and
 * virtio-mem decides itself which part of its memory exists.
 */
static bool is_preallocated(MemoryRegion *mr)
{
    Object *owner = memory_region_owner(mr);

    return memory_region_is_ram(mr) && !memory_region_is_ram_device(mr) &&
           !memory_region_has_ram_discard_manager(mr) && owner &&
           object_dynamic_cast(owner, TYPE_MEMORY_BACKEND) &&
           object_property_get_bool(owner, "prealloc", NULL);
}

static bool add_range(Int128 start, Int128 size, const MemoryRegion *mr,
                      hwaddr offset, void *opaque)
{
    NfvRange range = { int128_get64(start), 0 };

    /* The rest of the address space, of 2^64 bytes, is no memory. */
    if (!is_preallocated((MemoryRegion *)mr)) {
        return false;
    }
    range.size = int128_get64(size);
    range = nfv_range_pages(range, qemu_real_host_page_size());
    if (range.size) {
        g_array_append_val((GArray *)opaque, range);
    }
    return false;
}

static GArray *guest_ranges(void)
{
    GArray *ranges = g_array_new(false, false, sizeof(NfvRange));

    RCU_READ_LOCK_GUARD();
    flatview_for_each_range(address_space_to_flatview(&address_space_memory),
                            add_range, ranges);
    return ranges;
}

static int map_range(void *opaque, NfvRange *range)
{
    struct kvm_pre_fault_memory arg = { .gpa = range->start,
                                        .size = range->size };
    int ret = kvm_vcpu_ioctl(opaque, KVM_PRE_FAULT_MEMORY, &arg);

    *range = (NfvRange) { arg.gpa, arg.size };
    return ret;
}

static void do_share(CPUState *cpu, run_on_cpu_data data)
{
    Job *job = data.host_ptr;

    bql_unlock(); /* or the vCPUs would take turns */
    for (unsigned i = 0; i < job->ranges->len; i++) {
        NfvRange range = nfv_range_share(
            g_array_index(job->ranges, NfvRange, i), job->index, job->count);

        nfv_prefault_range(range, map_range, cpu, &job->result);
    }
    bql_lock();
    trace_nfv_kvm_prefault(cpu->cpu_index, job->result.done, job->result.err);
}

static void do_nothing(CPUState *cpu, run_on_cpu_data data)
{
}

void nfv_prefault_ram(NfvPrefault *result)
{
    g_autoptr(GArray) ranges = guest_ranges();
    g_autoptr(GArray) jobs = g_array_new(false, true, sizeof(Job));
    unsigned n = 0;
    CPUState *cpu;

    if (!ranges->len) {
        result->skipped = "no guest memory is preallocated";
        return;
    }
    for (unsigned i = 0; i < ranges->len; i++) {
        result->wanted += g_array_index(ranges, NfvRange, i).size;
    }
    CPU_FOREACH(cpu) {
        n++;
    }
    g_array_set_size(jobs, n);
    n = 0;
    CPU_FOREACH(cpu) {
        Job *job = &g_array_index(jobs, Job, n);

        *job = (Job) { .ranges = ranges, .index = n++, .count = jobs->len };
        async_run_on_cpu(cpu, do_share, RUN_ON_CPU_HOST_PTR(job));
    }
    CPU_FOREACH(cpu) {
        run_on_cpu(cpu, do_nothing, RUN_ON_CPU_NULL); /* after its share */
    }
    for (unsigned i = 0; i < jobs->len; i++) {
        const NfvPrefault *r = &g_array_index(jobs, Job, i).result;

        result->done += r->done;
        result->err = result->err ?: r->err;
    }
}
