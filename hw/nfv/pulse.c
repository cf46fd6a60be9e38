/*
 * nfv-pulse: a PCI device that raises an interrupt every period and measures
 * on the host's clock how soon the guest answers it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * It needs nothing of hw/nfv, trace events included, so that stock QEMU can
 * be built with the same file for comparison.
 *
 * BAR 0, registers of 32 bits, little endian:
 *   0x00  r   ID: 0x4e465001, the last byte is the version of this interface
 *   0x04  rw  CONTROL: bit 0: raise pulses; the other bits stay 0
 *   0x08  r   PERIOD: microseconds
 *   0x0c  r   PULSE: number of the pulse that waits for its answer, or 0
 *   0x10  w   ANSWER: whatever is written answers it
 *
 * The interrupt is an MSI, or INTx while MSI is off; INTx is active from the
 * pulse to its answer. A pulse that is due before the last one is answered is
 * not raised, but counted as missed; one that is due while the guest stands
 * still, or while the main loop is late by a period or more, as skipped.
 *
 * What was measured is read from QOM. Histograms are lists of pairs, the
 * longest time of a bucket in nanoseconds and its count; a bucket is at most
 * 1/32 wide. Neither a reset nor the guest clears them.
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"
#include "hw/pci/msi.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qom/object.h"

#define TYPE_NFV_PULSE "nfv-pulse"
OBJECT_DECLARE_SIMPLE_TYPE(NfvPulse, NFV_PULSE)

enum {
    REG_ID = 0x00,
    REG_CONTROL = 0x04,
    REG_PERIOD = 0x08,
    REG_PULSE = 0x0c,
    REG_ANSWER = 0x10,

    ID = 0x4e465001,
    CONTROL_ON = 1,
    BAR_BYTES = 4096,
    DEVICE_ID = 0x4e46,

    PERIOD_MIN = 10,
    PERIOD_MAX = 10 * 1000 * 1000,

    /* 32 buckets for each power of two, up to 2^36 ns: more than a minute. */
    FINE_BITS = 5,
    FINE = 1 << FINE_BITS,
    TOP_BIT = 36,
    BUCKETS = (TOP_BIT - FINE_BITS + 1) * FINE,
};

typedef struct NfvPulseTimes {
    uint64_t min, max, sum;
    uint64_t bucket[BUCKETS];
} NfvPulseTimes;

struct NfvPulse {
    PCIDevice parent_obj;

    MemoryRegion bar;
    QEMUTimer *timer;
    uint32_t period;
    uint32_t control;
    uint32_t number;            /* of the last pulse; never 0 after it */
    bool waiting;               /* for the answer to it */
    int64_t due;                /* the next one, QEMU_CLOCK_VIRTUAL */
    int64_t raised;             /* the last one, QEMU_CLOCK_REALTIME */
    int64_t raised_wall;        /* the same, QEMU_CLOCK_HOST; in the stream */

    uint64_t raises, answers, missed, skipped, spurious;
    NfvPulseTimes latency;      /* from raise to answer */
    NfvPulseTimes lateness;     /* from when it was due to when it was raised */
};

static unsigned bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < FINE) {
        return ns;
    }
    if (ns >> TOP_BIT) {
        return BUCKETS - 1;
    }
    shift = 63 - clz64(ns) - FINE_BITS;
    return (shift + 1) * FINE + (ns >> shift) - FINE;
}

/* The longest time that falls into it. */
static uint64_t bucket_end(unsigned bucket)
{
    unsigned shift = bucket / FINE;

    if (!shift) {
        return bucket;
    }
    return ((uint64_t)(FINE + bucket % FINE + 1) << (shift - 1)) - 1;
}

static void times_add(NfvPulseTimes *times, uint64_t ns)
{
    times->min = MIN(times->min, ns);
    times->max = MAX(times->max, ns);
    times->sum += ns;
    times->bucket[bucket_of(ns)]++;
}

static void pulse_irq(NfvPulse *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    if (!s->waiting) {
        /* Also if the guest has switched MSI on since it was asserted. */
        pci_set_irq(pci, 0);
    } else if (msi_enabled(pci)) {
        /* May end in pulse_write(), if the guest has its MSIs sent there. */
        msi_notify(pci, 0);
    } else {
        pci_set_irq(pci, 1);
    }
}

static void pulse_raise(NfvPulse *s, int64_t late)
{
    if (s->waiting) {
        s->missed++;
        return;
    }
    times_add(&s->lateness, late);
    s->waiting = true;
    s->raises++;
    s->number = s->number == UINT32_MAX ? 1 : s->number + 1;
    s->raised = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    pulse_irq(s);
}

static void pulse_tick(void *opaque)
{
    NfvPulse *s = opaque;
    int64_t period = (int64_t)s->period * 1000;
    int64_t late = MAX(0, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) - s->due);
    int64_t skipped = late / period;

    s->skipped += skipped;
    s->due += (skipped + 1) * period;
    timer_mod(s->timer, s->due);
    pulse_raise(s, late);
}

static void pulse_answer(NfvPulse *s)
{
    int64_t ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - s->raised;

    if (!s->waiting) {
        s->spurious++;
        return;
    }
    s->waiting = false;
    s->answers++;
    times_add(&s->latency, MAX(0, ns));
    pulse_irq(s);
}

static void pulse_control(NfvPulse *s, uint32_t value)
{
    uint32_t before = s->control;

    s->control = value & CONTROL_ON;
    if (s->control && !before) {
        s->due = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                 (int64_t)s->period * 1000;
        timer_mod(s->timer, s->due);
    } else if (!s->control && before) {
        timer_del(s->timer);
        s->waiting = false;
        pulse_irq(s);
    }
}

static uint64_t pulse_read(void *opaque, hwaddr address, unsigned size)
{
    NfvPulse *s = opaque;

    switch (address) {
    case REG_ID:
        return ID;
    case REG_CONTROL:
        return s->control;
    case REG_PERIOD:
        return s->period;
    case REG_PULSE:
        return s->waiting ? s->number : 0;
    default:
        return 0;
    }
}

static void pulse_write(void *opaque, hwaddr address, uint64_t value,
                        unsigned size)
{
    NfvPulse *s = opaque;

    switch (address) {
    case REG_CONTROL:
        pulse_control(s, value);
        break;
    case REG_ANSWER:
        pulse_answer(s);
        break;
    default:
        break;
    }
}

static const MemoryRegionOps pulse_ops = {
    .read = pulse_read,
    .write = pulse_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

static int pulse_pre_save(void *opaque)
{
    NfvPulse *s = opaque;

    s->raised_wall = 0;
    if (s->waiting) {
        s->raised_wall = s->raised + qemu_clock_get_ns(QEMU_CLOCK_HOST) -
                         qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    }
    return 0;
}

/* Nothing in the stream is trusted: it may come from anywhere. */
static int pulse_post_load(void *opaque, int version_id)
{
    NfvPulse *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    int64_t age = 0;

    if (s->period < PERIOD_MIN || s->period > PERIOD_MAX ||
        s->control & ~CONTROL_ON || (s->waiting && !s->number)) {
        return -EINVAL;
    }
    /* A wait goes on over the stop, as far as both hosts' clocks agree. */
    if (s->raised_wall > 0 && s->raised_wall < now) {
        age = now - s->raised_wall;
    }
    s->raised = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - age;
    if (s->control) {
        int64_t latest = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                         (int64_t)s->period * 1000;

        s->due = s->due < 0 || s->due > latest ? latest : s->due;
        timer_mod(s->timer, s->due);
    }
    return 0;
}

static const VMStateDescription vmstate_times = {
    .name = "nfv-pulse/times",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(min, NfvPulseTimes),
        VMSTATE_UINT64(max, NfvPulseTimes),
        VMSTATE_UINT64(sum, NfvPulseTimes),
        VMSTATE_UINT64_ARRAY(bucket, NfvPulseTimes, BUCKETS),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_pulse = {
    .name = TYPE_NFV_PULSE,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = pulse_pre_save,
    .post_load = pulse_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, NfvPulse),
        VMSTATE_UINT32(period, NfvPulse),
        VMSTATE_UINT32(control, NfvPulse),
        VMSTATE_UINT32(number, NfvPulse),
        VMSTATE_BOOL(waiting, NfvPulse),
        VMSTATE_INT64(due, NfvPulse),
        VMSTATE_INT64(raised_wall, NfvPulse),
        VMSTATE_UINT64(raises, NfvPulse),
        VMSTATE_UINT64(answers, NfvPulse),
        VMSTATE_UINT64(missed, NfvPulse),
        VMSTATE_UINT64(skipped, NfvPulse),
        VMSTATE_UINT64(spurious, NfvPulse),
        VMSTATE_STRUCT(latency, NfvPulse, 1, vmstate_times, NfvPulseTimes),
        VMSTATE_STRUCT(lateness, NfvPulse, 1, vmstate_times, NfvPulseTimes),
        VMSTATE_END_OF_LIST()
    },
};

static void pulse_get_times(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    const NfvPulseTimes *times = (void *)NFV_PULSE(obj) + (size_t)opaque;
    g_autoptr(uint64List) list = NULL;
    uint64List **tail = &list;

    for (unsigned i = 0; i < BUCKETS; i++) {
        if (times->bucket[i]) {
            QAPI_LIST_APPEND(tail, bucket_end(i));
            QAPI_LIST_APPEND(tail, times->bucket[i]);
        }
    }
    visit_type_uint64List(v, name, &list, errp);
}

static void pulse_add_times(ObjectClass *class, const char *name,
                            size_t offset, const char *description)
{
    object_class_property_add(class, name, "uint64List", pulse_get_times,
                              NULL, NULL, (void *)offset);
    object_class_property_set_description(class, name, description);
}

static void pulse_init(Object *obj)
{
    NfvPulse *s = NFV_PULSE(obj);
    struct {
        const char *name;
        const uint64_t *value;
    } const numbers[] = {
        { "raises", &s->raises },
        { "answers", &s->answers },
        { "missed", &s->missed },
        { "skipped", &s->skipped },
        { "spurious", &s->spurious },
        { "latency-min", &s->latency.min },
        { "latency-max", &s->latency.max },
        { "latency-sum", &s->latency.sum },
        { "lateness-min", &s->lateness.min },
        { "lateness-max", &s->lateness.max },
        { "lateness-sum", &s->lateness.sum },
    };

    s->latency.min = s->lateness.min = UINT64_MAX;
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        object_property_add_uint64_ptr(obj, numbers[i].name, numbers[i].value,
                                       OBJ_PROP_FLAG_READ);
    }
}

static void pulse_realize(PCIDevice *pci, Error **errp)
{
    NfvPulse *s = NFV_PULSE(pci);

    if (s->period < PERIOD_MIN || s->period > PERIOD_MAX) {
        error_setg(errp, "period=%u: must be %d to %d microseconds", s->period,
                   PERIOD_MIN, PERIOD_MAX);
        return;
    }
    pci_config_set_interrupt_pin(pci->config, 1);
    if (msi_init(pci, 0, 1, true, false, errp)) {
        return;
    }
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, pulse_tick, s);
    memory_region_init_io(&s->bar, OBJECT(s), &pulse_ops, s, TYPE_NFV_PULSE,
                          BAR_BYTES);
    pci_register_bar(pci, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->bar);
}

static void pulse_exit(PCIDevice *pci)
{
    NfvPulse *s = NFV_PULSE(pci);

    timer_free(s->timer);
    msi_uninit(pci);
}

static void pulse_reset(DeviceState *dev)
{
    pulse_control(NFV_PULSE(dev), 0);
}

static const Property pulse_properties[] = {
    DEFINE_PROP_UINT32("period", NfvPulse, period, 1000),
};

static void pulse_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    pc->realize = pulse_realize;
    pc->exit = pulse_exit;
    pc->vendor_id = PCI_VENDOR_ID_QEMU;
    pc->device_id = DEVICE_ID;
    pc->revision = 1;
    pc->class_id = PCI_CLASS_OTHERS;
    dc->desc = "raises an interrupt every period and measures the answer";
    dc->vmsd = &vmstate_pulse;
    device_class_set_legacy_reset(dc, pulse_reset);
    device_class_set_props(dc, pulse_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    pulse_add_times(class, "latency", offsetof(NfvPulse, latency),
                    "nanoseconds from raise to answer, pairs of time, count");
    pulse_add_times(class, "lateness", offsetof(NfvPulse, lateness),
                    "nanoseconds from due to raise, pairs of time, count");
}

static const TypeInfo pulse_info = {
    .name = TYPE_NFV_PULSE,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(NfvPulse),
    .instance_init = pulse_init,
    .class_init = pulse_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void pulse_register(void)
{
    type_register_static(&pulse_info);
}

type_init(pulse_register)
