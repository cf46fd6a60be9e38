/*
 * Arrays of device state in bulk
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "migration/nfv.h"
#include "migration/nfv/vmstate.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "repeats.h"
#include "trace.h"

/* Plan */

/* Types whose get and put only move and swap bytes. */
static const struct {
    const VMStateInfo *info;
    NfvVmstateKind kind;
    size_t size;
} scalars[] = {
    { &vmstate_info_uint32, NFV_VMSTATE_32, 4 },
    { &vmstate_info_uint8, NFV_VMSTATE_BYTES, 1 },
    { &vmstate_info_uint64, NFV_VMSTATE_64, 8 },
    { &vmstate_info_uint16, NFV_VMSTATE_16, 2 },
    { &vmstate_info_bool, NFV_VMSTATE_BOOL, sizeof(bool) },
    { &vmstate_info_int32, NFV_VMSTATE_32, 4 },
    { &vmstate_info_int8, NFV_VMSTATE_BYTES, 1 },
    { &vmstate_info_int64, NFV_VMSTATE_64, 8 },
    { &vmstate_info_int16, NFV_VMSTATE_16, 2 },
};

static const uint8_t wire_size[] = {
    [NFV_VMSTATE_BYTES] = 1, [NFV_VMSTATE_BOOL] = 1, [NFV_VMSTATE_16] = 2,
    [NFV_VMSTATE_32] = 4,    [NFV_VMSTATE_64] = 8,   [NFV_VMSTATE_UNUSED] = 1,
    [NFV_VMSTATE_END] = 0,
};

static bool add_step(NfvVmstatePlan *plan, NfvVmstateKind kind, size_t offset,
                     size_t count)
{
    NfvVmstateStep *last = plan->steps + plan->n_steps - 1;

    if (count > NFV_VMSTATE_WIRE_MAX ||
        plan->wire + count * wire_size[kind] > NFV_VMSTATE_WIRE_MAX) {
        return false;
    }
    plan->wire += count * wire_size[kind];
    if (plan->n_steps && last->kind == kind && kind == NFV_VMSTATE_BYTES &&
        last->offset + last->count == offset) {
        last->count += count;
        return true;
    }
    if (plan->n_steps == NFV_VMSTATE_STEPS_MAX) {
        return false;
    }
    plan->steps[plan->n_steps++] = (NfvVmstateStep) {
        .kind = kind,
        .offset = offset,
        .count = count,
    };
    plan->has_end |= kind == NFV_VMSTATE_END;
    return true;
}

/* @n elements of a type without structure, one after the other. */
static bool add_scalars(NfvVmstatePlan *plan, const VMStateField *field,
                        size_t offset, size_t n)
{
    if (field->flags & VMS_BUFFER) {
        bool unused = field->info == &vmstate_info_unused_buffer;

        return (unused || field->info == &vmstate_info_buffer) &&
               field->size <= NFV_VMSTATE_WIRE_MAX &&
               add_step(plan, unused ? NFV_VMSTATE_UNUSED : NFV_VMSTATE_BYTES,
                        offset, field->size * n);
    }
    for (int i = 0; i < ARRAY_SIZE(scalars); i++) {
        if (field->info == scalars[i].info) {
            return field->size == scalars[i].size &&
                   add_step(plan, scalars[i].kind, offset, n);
        }
    }
    return false;
}

static bool add_fields(NfvVmstatePlan *plan, const VMStateDescription *vmsd,
                       int version_id, size_t offset);

static bool add_struct(NfvVmstatePlan *plan, const VMStateField *field,
                       size_t offset)
{
    return add_fields(plan, field->vmsd,
                      field->flags & VMS_STRUCT ? field->vmsd->version_id :
                                                  field->struct_version_id,
                      offset);
}

static bool add_field(NfvVmstatePlan *plan, const VMStateField *field,
                      size_t offset)
{
    int n = field->flags & VMS_ARRAY ? field->num : 1;

    if (field->field_exists ||
        field->flags &
            ~(VMS_SINGLE | VMS_ARRAY | VMS_STRUCT | VMS_VSTRUCT | VMS_BUFFER) ||
        n < 0) {
        return false;
    }
    offset += field->offset;
    if (!(field->flags & (VMS_STRUCT | VMS_VSTRUCT))) {
        return add_scalars(plan, field, offset, n);
    }
    for (int i = 0; i < n; i++) {
        if (!add_struct(plan, field, offset + i * field->size)) {
            return false;
        }
    }
    return true;
}

/* A structure that is saved and loaded as @version_id of @vmsd. */
static bool add_fields(NfvVmstatePlan *plan, const VMStateDescription *vmsd,
                       int version_id, size_t offset)
{
    if (vmsd->pre_load || vmsd->post_load || vmsd->pre_save ||
        vmsd->post_save || vmsd->subsections || version_id > vmsd->version_id ||
        version_id < vmsd->minimum_version_id) {
        return false;
    }
    for (const VMStateField *field = vmsd->fields; field->name; field++) {
        if (field->version_id > version_id && !field->field_exists) {
            continue; /* neither saved nor loaded */
        }
        if (!add_field(plan, field, offset)) {
            return false;
        }
    }
    return add_step(plan, NFV_VMSTATE_END, offset, 1);
}

bool nfv_vmstate_plan(NfvVmstatePlan *plan, const VMStateField *field)
{
    plan->wire = 0;
    plan->stride = field->size;
    plan->has_end = false;
    plan->n_steps = 0;
    /*
     * The caller knows where the array is, how long, and that it exists; only
     * the elements matter here.
     */
    if (field->flags &
        (VMS_ARRAY_OF_POINTER | VMS_VBUFFER | VMS_MULTIPLY | VMS_MUST_EXIST)) {
        return false;
    }
    return (field->flags & (VMS_STRUCT | VMS_VSTRUCT) ?
                add_struct(plan, field, 0) :
                add_scalars(plan, field, 0, 1)) &&
           plan->wire;
}

/* Run */

/*
 * Elements without structure are next to each other: all are one step.  Returns
 * how often to run @steps.
 */
static int merge_elements(const NfvVmstatePlan *plan, int n,
                          NfvVmstateStep *merged, const NfvVmstateStep **steps)
{
    *steps = plan->steps;
    if (plan->n_steps != 1) {
        return n;
    }
    *merged = plan->steps[0];
    merged->count *= n;
    *steps = merged;
    return 1;
}

static uint8_t *encode_step(const NfvVmstateStep *step, const void *element,
                            uint8_t *out)
{
    const void *from = element + step->offset;

    switch (step->kind) {
    case NFV_VMSTATE_BYTES:
        memcpy(out, from, step->count);
        return out + step->count;
    case NFV_VMSTATE_BOOL:
        for (uint32_t i = 0; i < step->count; i++) {
            *out++ = ((const bool *)from)[i];
        }
        return out;
    case NFV_VMSTATE_16:
        for (uint32_t i = 0; i < step->count; i++, from += 2, out += 2) {
            stw_be_p(out, lduw_he_p(from));
        }
        return out;
    case NFV_VMSTATE_32:
        for (uint32_t i = 0; i < step->count; i++, from += 4, out += 4) {
            stl_be_p(out, ldl_he_p(from));
        }
        return out;
    case NFV_VMSTATE_64:
        for (uint32_t i = 0; i < step->count; i++, from += 8, out += 8) {
            stq_be_p(out, ldq_he_p(from));
        }
        return out;
    case NFV_VMSTATE_UNUSED:
        memset(out, 0, step->count);
        return out + step->count;
    case NFV_VMSTATE_END:
        return out;
    }
    g_assert_not_reached();
}

void nfv_vmstate_encode(const NfvVmstatePlan *plan, const void *elements, int n,
                        uint8_t *out)
{
    NfvVmstateStep merged;
    const NfvVmstateStep *steps;
    int times = merge_elements(plan, n, &merged, &steps);

    for (int i = 0; i < times; i++) {
        for (unsigned s = 0; s < plan->n_steps; s++) {
            out = encode_step(steps + s, elements, out);
        }
        elements += plan->stride;
    }
}

/* NULL: what follows may be a subsection. */
static const uint8_t *decode_step(const NfvVmstateStep *step, const uint8_t *in,
                                  void *element)
{
    void *to = element + step->offset;

    switch (step->kind) {
    case NFV_VMSTATE_BYTES:
        memcpy(to, in, step->count);
        return in + step->count;
    case NFV_VMSTATE_BOOL:
        for (uint32_t i = 0; i < step->count; i++) {
            ((bool *)to)[i] = *in++;
        }
        return in;
    case NFV_VMSTATE_16:
        for (uint32_t i = 0; i < step->count; i++, to += 2, in += 2) {
            stw_he_p(to, lduw_be_p(in));
        }
        return in;
    case NFV_VMSTATE_32:
        for (uint32_t i = 0; i < step->count; i++, to += 4, in += 4) {
            stl_he_p(to, ldl_be_p(in));
        }
        return in;
    case NFV_VMSTATE_64:
        for (uint32_t i = 0; i < step->count; i++, to += 8, in += 8) {
            stq_he_p(to, ldq_be_p(in));
        }
        return in;
    case NFV_VMSTATE_UNUSED:
        return in + step->count;
    case NFV_VMSTATE_END:
        return *in == QEMU_VM_SUBSECTION ? NULL : in;
    }
    g_assert_not_reached();
}

int nfv_vmstate_decode(const NfvVmstatePlan *plan, const uint8_t *in, int n,
                       void *elements)
{
    NfvVmstateStep merged;
    const NfvVmstateStep *steps;
    int times = merge_elements(plan, n, &merged, &steps);

    for (int i = 0; i < times; i++) {
        for (unsigned s = 0; s < plan->n_steps; s++) {
            in = decode_step(steps + s, in, elements);
            if (!in) {
                return i;
            }
        }
        elements += plan->stride;
    }
    return n;
}

/* What migration/vmstate.c calls */

/* Not in its caller: QEMU has the compiler clear the buffer. */
static void save_planned(const NfvVmstatePlan *plan, QEMUFile *f,
                         const void *elements, int n)
{
    uint8_t out[NFV_VMSTATE_WIRE_MAX];
    int now;

    for (int done = 0; done < n; done += now) {
        now = MIN(n - done, sizeof(out) / plan->wire);
        nfv_vmstate_encode(plan, elements + (size_t)done * plan->stride, now,
                           out);
        qemu_put_buffer(f, out, now * plan->wire);
    }
}

int nfv_vmstate_save_bulk(QEMUFile *f, const VMStateField *field,
                          const void *elements, int n)
{
    NfvVmstatePlan plan;

    if (!nfv_vmstate_plan(&plan, field)) {
        return 0;
    }
    trace_nfv_vmstate_save(field->name, n, plan.wire);
    if (nfv_repeats_saves()) {
        nfv_repeats_save(f, &plan, elements, n);
    } else {
        save_planned(&plan, f, elements, n);
    }
    return n;
}

/* Returns how many. */
static int coroutine_mixed_fn load_planned(const NfvVmstatePlan *plan,
                                           QEMUFile *f, void *elements, int n)
{
    int done = 0, now, loaded;

    do {
        uint8_t *in;
        size_t size;

        now = MIN(n - done, NFV_VMSTATE_WIRE_MAX / plan->wire);
        size = now * plan->wire + plan->has_end;
        if (qemu_peek_buffer(f, &in, size, 0) != size) {
            break; /* the interpreter meets the same end, and reports it */
        }
        loaded = nfv_vmstate_decode(plan, in, now,
                                    elements + (size_t)done * plan->stride);
        qemu_file_skip(f, loaded * plan->wire);
        done += loaded;
    } while (loaded == now && done < n);
    return done;
}

int coroutine_mixed_fn nfv_vmstate_load_bulk(QEMUFile *f,
                                             const VMStateField *field,
                                             void *elements, int n)
{
    NfvVmstatePlan plan;
    int done;

    if (!nfv_vmstate_plan(&plan, field)) {
        return 0;
    }
    if (nfv_repeats_loads()) {
        /* The interpreter meets the error. */
        done = nfv_repeats_load(f, &plan, elements, n) ? n : 0;
    } else {
        done = load_planned(&plan, f, elements, n);
    }
    trace_nfv_vmstate_load(field->name, n, done);
    return done;
}
