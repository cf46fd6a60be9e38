/*
 * Arrays of device state in bulk: whatever stock does, ours does
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "io/channel-buffer.h"
#include "migration/nfv.h"
#include "migration/nfv/repeats.h"
#include "migration/nfv/vmstate.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "monitor/monitor.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qobject/json-writer.h"
#include "system/runstate.h"

/* Instead of those in stubs/: streams are broken here by the thousand. */
int error_vprintf(const char *fmt, va_list ap)
{
    return 0;
}

int error_vprintf_unless_qmp(const char *fmt, va_list ap)
{
    return 0;
}

static RunState state = RUN_STATE_INMIGRATE;

bool runstate_check(RunState is)
{
    return is == state;
}

/* A device with an array of each kind */

typedef struct Inner {
    uint8_t u8;
    bool flag;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int8_t s8;
    int16_t s16;
    int32_t s32;
    int64_t s64;
    uint8_t buffer[5];
    uint16_t array[3];
} Inner;

static const VMStateDescription vmstate_inner = {
    .name = "inner",
    .version_id = 3,
    .minimum_version_id = 2,
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(u8, Inner),
            VMSTATE_BOOL(flag, Inner),
            VMSTATE_UINT16(u16, Inner),
            VMSTATE_UINT32(u32, Inner),
            VMSTATE_UINT64(u64, Inner),
            VMSTATE_UNUSED(3),
            VMSTATE_INT8(s8, Inner),
            VMSTATE_INT16(s16, Inner),
            VMSTATE_INT32_V(s32, Inner, 3),
            VMSTATE_INT64_V(s64, Inner, 4), /* newer than the description */
            VMSTATE_BUFFER(buffer, Inner),
            VMSTATE_UINT16_ARRAY(array, Inner, 3),
            VMSTATE_END_OF_LIST(),
        },
};

typedef struct Element {
    Inner two[2];
    Inner one;
    uint8_t last;
} Element;

static const VMStateDescription vmstate_element = {
    .name = "element",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields =
        (const VMStateField[]) {
            VMSTATE_STRUCT_ARRAY(two, Element, 2, 1, vmstate_inner, Inner),
            VMSTATE_VSTRUCT(one, Element, vmstate_inner, Inner, 2),
            VMSTATE_UINT8(last, Element),
            VMSTATE_END_OF_LIST(),
        },
};

/* Structures that are not plain */

typedef struct Small {
    uint8_t a, b;
} Small;

static int double_a(void *opaque, int version_id)
{
    ((Small *)opaque)->a *= 2;
    return ((Small *)opaque)->b == 0xff ? -EINVAL : 0;
}

static const VMStateDescription vmstate_hook = {
    .name = "hook",
    .post_load = double_a,
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(a, Small),
            VMSTATE_UINT8(b, Small),
            VMSTATE_END_OF_LIST(),
        },
};

static bool a_is_odd(void *opaque, int version_id)
{
    return ((Small *)opaque)->a & 1;
}

static const VMStateDescription vmstate_test = {
    .name = "test",
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(a, Small),
            VMSTATE_UINT8_TEST(b, Small, a_is_odd),
            VMSTATE_END_OF_LIST(),
        },
};

static bool b_is_needed(void *opaque)
{
    return ((Small *)opaque)->b;
}

static const VMStateDescription vmstate_subsection = {
    .name = "section/b",
    .needed = b_is_needed,
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(b, Small),
            VMSTATE_END_OF_LIST(),
        },
};

static const VMStateDescription vmstate_section = {
    .name = "section",
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(a, Small),
            VMSTATE_END_OF_LIST(),
        },
    .subsections =
        (const VMStateDescription *const[]) { &vmstate_subsection, NULL },
};

static const VMStateDescription vmstate_equal = {
    .name = "equal",
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(a, Small),
            VMSTATE_UINT8_EQUAL(b, Small, NULL),
            VMSTATE_END_OF_LIST(),
        },
};

static const VMStateDescription vmstate_small = {
    .name = "small",
    .fields =
        (const VMStateField[]) {
            VMSTATE_UINT8(a, Small),
            VMSTATE_UINT8(b, Small),
            VMSTATE_END_OF_LIST(),
        },
};

#define MANY 9000 /* more than fit a step of the codec, or a chunk of u64 */
#define FEW 7

typedef struct Device {
    Element elements[100];
    uint8_t bytes[MANY * 3];
    bool flags[MANY];
    uint16_t u16[MANY];
    uint32_t u32[MANY];
    uint64_t u64[MANY];
    int8_t s8[FEW];
    int16_t s16[FEW];
    int32_t s32[FEW];
    int64_t s64[FEW];
    uint16_t varray_len;
    uint16_t varray[FEW];
    uint16_t pointed_len;
    Small *pointed; /* to pointed_data */
    Small pointed_data[FEW];
    Small *pointers[FEW]; /* to pointers_data, every second one NULL */
    Small pointers_data[FEW];
    Small hooks[FEW], tests[FEW], sections[FEW], equals[FEW];
    uint8_t multiplied[3 * 5];
    uint32_t multiply;
} Device;

static const VMStateDescription vmstate_device = {
    .name = "device",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields =
        (const VMStateField[]) {
            VMSTATE_STRUCT_ARRAY(elements, Device, 100, 1, vmstate_element,
                                 Element),
            VMSTATE_UINT8_ARRAY(bytes, Device, MANY * 3),
            VMSTATE_BOOL_ARRAY(flags, Device, MANY),
            VMSTATE_UINT16_ARRAY(u16, Device, MANY),
            VMSTATE_UINT32_ARRAY(u32, Device, MANY),
            VMSTATE_UINT64_ARRAY(u64, Device, MANY),
            VMSTATE_ARRAY(s8, Device, FEW, 0, vmstate_info_int8, int8_t),
            VMSTATE_INT16_ARRAY(s16, Device, FEW),
            VMSTATE_INT32_ARRAY(s32, Device, FEW),
            VMSTATE_INT64_ARRAY(s64, Device, FEW),
            VMSTATE_VARRAY_UINT16_UNSAFE(varray, Device, varray_len, 1,
                                         vmstate_info_uint16, uint16_t),
            VMSTATE_STRUCT_VARRAY_POINTER_UINT16(pointed, Device, pointed_len,
                                                 vmstate_small, Small),
            VMSTATE_ARRAY_OF_POINTER_TO_STRUCT(pointers, Device, FEW, 1,
                                               vmstate_small, Small),
            VMSTATE_STRUCT_ARRAY(hooks, Device, FEW, 1, vmstate_hook, Small),
            VMSTATE_STRUCT_ARRAY(tests, Device, FEW, 1, vmstate_test, Small),
            VMSTATE_STRUCT_ARRAY(sections, Device, FEW, 1, vmstate_section,
                                 Small),
            VMSTATE_STRUCT_ARRAY(equals, Device, FEW, 1, vmstate_equal, Small),
            VMSTATE_VARRAY_MULTIPLY(multiplied, Device, multiply, 5,
                                    vmstate_info_uint8, uint8_t),
            VMSTATE_END_OF_LIST(),
        },
};

/* What does not come from the stream; the rest is @filler. */
static Device *device_new(uint8_t filler)
{
    Device *d = g_malloc(sizeof(*d));

    memset(d, filler, sizeof(*d));
    memset(d->flags, filler & 1, sizeof(d->flags));
    for (int i = 0; i < ARRAY_SIZE(d->elements); i++) {
        Element *e = &d->elements[i];

        e->one.flag = e->two[0].flag = e->two[1].flag = filler & 1;
    }
    d->varray_len = FEW;
    d->pointed_len = FEW;
    d->pointed = d->pointed_data;
    d->multiply = 3;
    for (int i = 0; i < FEW; i++) {
        d->pointers[i] = i & 1 ? NULL : &d->pointers_data[i];
        d->equals[i].b = i;
    }
    return d;
}

/* A device with something else in each byte; no 0xff where hooks refuse it. */
static Device *device_random(GRand *rand)
{
    Device *d = device_new(0);
    static const size_t ranges[][2] = {
        { offsetof(Device, bytes), sizeof(d->bytes) },
        { offsetof(Device, u16), sizeof(d->u16) },
        { offsetof(Device, u32), sizeof(d->u32) },
        { offsetof(Device, u64), sizeof(d->u64) },
        { offsetof(Device, s8), sizeof(d->s8) },
        { offsetof(Device, s16), sizeof(d->s16) },
        { offsetof(Device, s32), sizeof(d->s32) },
        { offsetof(Device, s64), sizeof(d->s64) },
        { offsetof(Device, varray), sizeof(d->varray) },
        { offsetof(Device, pointed_data), sizeof(d->pointed_data) },
        { offsetof(Device, pointers_data), sizeof(d->pointers_data) },
        { offsetof(Device, hooks), sizeof(d->hooks) },
        { offsetof(Device, tests), sizeof(d->tests) },
        { offsetof(Device, sections), sizeof(d->sections) },
        { offsetof(Device, multiplied), sizeof(d->multiplied) },
        { offsetof(Device, elements), sizeof(d->elements) },
    };

    for (int r = 0; r < ARRAY_SIZE(ranges); r++) {
        uint8_t *bytes = (uint8_t *)d + ranges[r][0];

        for (size_t i = 0; i < ranges[r][1]; i++) {
            bytes[i] = g_rand_int_range(rand, 0, 255);
        }
    }
    for (int i = 0; i < MANY; i++) {
        d->flags[i] = g_rand_boolean(rand);
    }
    for (int i = 0; i < ARRAY_SIZE(d->elements); i++) {
        Element *e = &d->elements[i];

        memset(&e->one.flag, g_rand_boolean(rand), 1);
        memset(&e->two[0].flag, g_rand_boolean(rand), 1);
        memset(&e->two[1].flag, g_rand_boolean(rand), 1);
    }
    return d;
}

/* The same two ways */

static void set_bulk(bool on)
{
    nfv_migration_settings_set(&(NfvMigrationSettings) { .vmstate = on });
}

/*
 * The interpreter looks this far ahead for the name of a subsection, and takes
 * the end of the stream for an error.
 */
#define TAIL 300

static GByteArray *save(const VMStateDescription *vmsd, void *opaque, bool bulk,
                        GString *json)
{
    QIOChannelBuffer *channel = qio_channel_buffer_new(0);
    QEMUFile *f = qemu_file_new_output(QIO_CHANNEL(channel));
    JSONWriter *writer = json ? json_writer_new(false) : NULL;
    GByteArray *stream = g_byte_array_new();

    if (writer) {
        json_writer_start_object(writer, NULL);
    }
    set_bulk(bulk);
    g_assert_cmpint(vmstate_save_state(f, vmsd, opaque, writer), ==, 0);
    qemu_put_byte(f, QEMU_VM_EOF);
    for (int i = 1; i < TAIL; i++) {
        qemu_put_byte(f, 0);
    }
    g_assert_cmpint(qemu_fflush(f), ==, 0);
    if (writer) {
        json_writer_end_object(writer);
        g_string_assign(json, json_writer_get(writer));
        json_writer_free(writer);
    }
    g_byte_array_append(stream, channel->data, channel->usage);
    qemu_fclose(f);
    object_unref(OBJECT(channel));
    return stream;
}

typedef struct Outcome {
    int ret, error;
    uint8_t next; /* byte of the stream */
} Outcome;

static Outcome load(const VMStateDescription *vmsd, void *opaque, int version,
                    const uint8_t *stream, size_t size, bool bulk)
{
    QIOChannelBuffer *channel = qio_channel_buffer_new(size);
    Outcome outcome;
    QEMUFile *f;

    memcpy(channel->data, stream, size);
    channel->usage = size;
    f = qemu_file_new_input(QIO_CHANNEL(channel));
    set_bulk(bulk);
    outcome.ret = vmstate_load_state(f, vmsd, opaque, version);
    outcome.error = qemu_file_get_error(f);
    outcome.next = outcome.ret ? 0 : qemu_get_byte(f);
    qemu_fclose(f);
    object_unref(OBJECT(channel));
    return outcome;
}

/* Pointers differ between two devices, and are not in the stream. */
static void assert_same_device(Device *a, Device *b)
{
    b->pointed = a->pointed;
    memcpy(b->pointers, a->pointers, sizeof(a->pointers));
    g_assert_cmpmem(a, sizeof(*a), b, sizeof(*b));
}

/* Load both ways: the end is the same, and what was loaded, if all was. */
static Outcome load_both(const uint8_t *stream, size_t size)
{
    g_autofree Device *stock = device_new(0);
    g_autofree Device *ours = device_new(0);
    Outcome s = load(&vmstate_device, stock, 1, stream, size, false);
    Outcome o = load(&vmstate_device, ours, 1, stream, size, true);

    g_assert_cmpint(o.ret, ==, s.ret);
    g_assert_cmpint(o.error, ==, s.error);
    g_assert_cmpint(o.next, ==, s.next);
    if (!s.ret) {
        assert_same_device(stock, ours);
    }
    return s;
}

static void assert_same_stream(const GByteArray *a, const GByteArray *b)
{
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

static GByteArray *random_stream(GRand *rand)
{
    g_autofree Device *d = device_random(rand);

    return save(&vmstate_device, d, false, NULL);
}

static GRand *new_rand(void)
{
    return g_rand_new_with_seed(g_test_rand_int());
}

/* Tests */

static void test_save(void)
{
    g_autoptr(GRand) rand = new_rand();

    for (int i = 0; i < 5; i++) {
        g_autofree Device *d = device_random(rand);
        g_autoptr(GByteArray) stock = save(&vmstate_device, d, false, NULL);
        g_autoptr(GByteArray) ours = save(&vmstate_device, d, true, NULL);

        g_assert_cmpint(stock->len, >, sizeof(d->elements));
        assert_same_stream(stock, ours);
    }
}

static void test_save_json(void)
{
    g_autoptr(GRand) rand = new_rand();
    g_autofree Device *d = device_random(rand);
    g_autoptr(GString) stock_json = g_string_new(NULL);
    g_autoptr(GString) ours_json = g_string_new(NULL);
    g_autoptr(GByteArray) stock = save(&vmstate_device, d, false, stock_json);
    g_autoptr(GByteArray) ours = save(&vmstate_device, d, true, ours_json);

    assert_same_stream(stock, ours);
    g_assert(strstr(stock_json->str, "\"multiplied\""));
    g_assert_cmpstr(stock_json->str, ==, ours_json->str);
}

static void test_load(void)
{
    g_autoptr(GRand) rand = new_rand();

    for (int i = 0; i < 5; i++) {
        g_autoptr(GByteArray) stream = random_stream(rand);
        Outcome outcome = load_both(stream->data, stream->len);

        g_assert_cmpint(outcome.ret, ==, 0);
        g_assert_cmpint(outcome.next, ==, QEMU_VM_EOF);
    }
}

/* Save, load and save with ours only. */
static void test_round_trip(void)
{
    g_autoptr(GRand) rand = new_rand();
    g_autofree Device *from = device_random(rand);
    g_autofree Device *to = device_new(0xaa);
    g_autoptr(GByteArray) first = NULL;
    g_autoptr(GByteArray) second = NULL;

    for (int i = 0; i < FEW; i++) {
        from->hooks[i].a = 0; /* doubled on load */
    }
    first = save(&vmstate_device, from, true, NULL);
    g_assert_cmpint(
        load(&vmstate_device, to, 1, first->data, first->len, true).ret, ==, 0);
    for (int i = 0; i < FEW; i++) {
        to->tests[i].b = from->tests[i].b;       /* not always saved */
        to->sections[i].b = from->sections[i].b; /* neither */
    }
    second = save(&vmstate_device, to, true, NULL);
    assert_same_stream(first, second);
}

/* Whatever a destination gets for a bool, it is one. */
static void test_bool(void)
{
    g_autoptr(GRand) rand = new_rand();
    g_autofree Device *d = device_new(0);
    g_autoptr(GByteArray) stream = random_stream(rand);
    g_autoptr(GByteArray) zero = save(&vmstate_device, d, false, NULL);
    g_autoptr(GByteArray) one = NULL;
    size_t start = 0; /* of the flags in the stream */

    d->flags[0] = true;
    one = save(&vmstate_device, d, false, NULL);
    while (zero->data[start] == one->data[start]) {
        start++;
        g_assert_cmpint(start + MANY, <, stream->len);
    }
    for (int i = 0; i < MANY; i++) {
        stream->data[start + i] = i;
    }
    load_both(stream->data, stream->len);
    g_assert_cmpint(
        load(&vmstate_device, d, 1, stream->data, stream->len, true).ret, ==,
        0);
    for (int i = 0; i < MANY; i++) {
        uint8_t byte;

        memcpy(&byte, &d->flags[i], 1);
        g_assert_cmpint(byte, ==, (i & 0xff) != 0);
    }
}

static void test_truncated(void)
{
    g_autoptr(GRand) rand = new_rand();
    g_autoptr(GByteArray) stream = random_stream(rand);

    size_t whole = stream->len - TAIL;

    for (size_t size = 0; size < whole;
         size += g_rand_int_range(rand, 1, whole / 200)) {
        g_assert_cmpint(load_both(stream->data, size).ret, <, 0);
    }
    for (size_t size = whole - 64; size < stream->len; size++) {
        load_both(stream->data, size);
    }
}

/* A stream full of the byte that starts a subsection. */
static void test_mark(void)
{
    g_autoptr(GRand) rand = new_rand();

    for (int i = 0; i < 50; i++) {
        g_autoptr(GByteArray) stream = random_stream(rand);
        int one_in = 1 << g_rand_int_range(rand, 0, 10);

        for (size_t b = 0; b < stream->len; b++) {
            if (g_rand_int_range(rand, 0, one_in) == 0) {
                stream->data[b] = QEMU_VM_SUBSECTION;
            }
        }
        load_both(stream->data, stream->len);
    }
}

/* A subsection that the structure does not have, behind one of its elements. */
static void test_unknown_subsection(void)
{
    static const uint8_t known_not[] = "\x05\x0b"
                                       "element/new\0\0\0\x01";
    static const uint8_t short_name[] = "\x05\x03"
                                        "ele";
    g_autoptr(GRand) rand = new_rand();
    Element element = { 0 };
    g_autoptr(GByteArray) one = save(&vmstate_element, &element, false, NULL);
    g_autoptr(GByteArray) stream = random_stream(rand);
    size_t length = one->len - TAIL;

    for (int after = 0; after < 100; after += 9) {
        size_t at = (after + 1) * length;
        g_autoptr(GByteArray) with = g_byte_array_new();

        g_byte_array_append(with, stream->data, at);
        g_byte_array_append(with, known_not, sizeof(known_not) - 1);
        g_byte_array_append(with, stream->data + at, stream->len - at);
        g_assert_cmpint(load_both(with->data, with->len).ret, ==, -ENOENT);

        /* This one is data. */
        memcpy(with->data + at, short_name, sizeof(short_name) - 1);
        load_both(with->data, with->len);
    }
}

static void test_garbage(void)
{
    g_autoptr(GRand) rand = new_rand();
    g_autoptr(GByteArray) stream = random_stream(rand);

    for (int i = 0; i < 50; i++) {
        for (size_t b = 0; b < stream->len; b++) {
            stream->data[b] = g_rand_int(rand);
        }
        load_both(stream->data, stream->len);
    }
}

/* An older peer's stream, of a structure that is versioned itself */

static void test_versions(void)
{
    Inner inner = { .u8 = 1, .flag = true, .s32 = -7, .array = { 1, 2, 3 } };
    g_autoptr(GByteArray) newest = save(&vmstate_inner, &inner, true, NULL);

    for (int version = 1; version <= 4; version++) {
        Inner stock = { 0 }, ours = { 0 };
        Outcome s = load(&vmstate_inner, &stock, version, newest->data,
                         newest->len, false);
        Outcome o = load(&vmstate_inner, &ours, version, newest->data,
                         newest->len, true);

        g_assert_cmpint(o.ret, ==, s.ret);
        g_assert_cmpint(s.ret == 0, ==, version == 2 || version == 3);
        g_assert_cmpmem(&ours, sizeof(ours), &stock, sizeof(stock));
    }
}

/* What is plain */

static const VMStateField *field_of(const char *name)
{
    for (const VMStateField *f = vmstate_device.fields; f->name; f++) {
        if (!strcmp(f->name, name)) {
            return f;
        }
    }
    g_assert_not_reached();
}

static void test_plan(void)
{
    static const struct {
        const char *field;
        uint32_t wire; /* 0: not plain */
    } cases[] = {
        { "elements", 3 * (1 + 1 + 2 + 4 + 8 + 3 + 1 + 2 + 5 + 6) + 2 * 4 + 1 },
        { "bytes", 1 },
        { "flags", 1 },
        { "u16", 2 },
        { "u32", 4 },
        { "u64", 8 },
        { "s8", 1 },
        { "s16", 2 },
        { "s32", 4 },
        { "s64", 8 },
        { "varray", 2 },
        { "pointed", 2 },
        { "pointers", 0 },
        { "hooks", 0 },
        { "tests", 0 },
        { "sections", 0 },
        { "equals", 0 },
        { "multiplied", 1 },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvVmstatePlan plan;
        bool plain = nfv_vmstate_plan(&plan, field_of(cases[i].field));

        g_assert_cmpint(plain, ==, cases[i].wire != 0);
        if (plain) {
            g_assert_cmpint(plan.wire, ==, cases[i].wire);
        }
    }
}

/* Types that only look like plain ones, and elements that are too large. */
static void test_plan_refuses(void)
{
    static const VMStateField fields[] = {
        { .name = "size",
          .info = &vmstate_info_uint32,
          .size = 8,
          .flags = VMS_ARRAY },
        { .name = "equal",
          .info = &vmstate_info_uint32_equal,
          .size = 4,
          .flags = VMS_ARRAY },
        { .name = "le",
          .info = &vmstate_info_int32_le,
          .size = 4,
          .flags = VMS_ARRAY },
        { .name = "fd",
          .info = &vmstate_info_fd,
          .size = 4,
          .flags = VMS_ARRAY },
        { .name = "large",
          .info = &vmstate_info_buffer,
          .size = NFV_VMSTATE_WIRE_MAX + 1,
          .flags = VMS_ARRAY | VMS_BUFFER },
        { .name = "huge",
          .info = &vmstate_info_unused_buffer,
          .size = SIZE_MAX,
          .flags = VMS_ARRAY | VMS_BUFFER },
        { .name = "empty",
          .info = &vmstate_info_buffer,
          .size = 0,
          .flags = VMS_ARRAY | VMS_BUFFER },
        { .name = "vbuffer",
          .info = &vmstate_info_buffer,
          .size = 1,
          .flags = VMS_VBUFFER | VMS_BUFFER },
        { .name = "version",
          .vmsd = &vmstate_inner,
          .size = sizeof(Inner),
          .struct_version_id = 1,
          .flags = VMS_VSTRUCT | VMS_ARRAY },
    };
    NfvVmstatePlan plan;

    for (int i = 0; i < ARRAY_SIZE(fields); i++) {
        g_assert(!nfv_vmstate_plan(&plan, &fields[i]));
    }
}

/* Repeats */

/* Saved and loaded with repeats counted; @stream is what was in between. */
static Outcome count_repeats(Device *from, Device *to, GByteArray **stream)
{
    Outcome outcome;

    nfv_repeats_set_saving(true);
    *stream = save(&vmstate_device, from, true, NULL);
    nfv_repeats_set_saving(false);
    nfv_repeats_set_loading(true);
    outcome = load(&vmstate_device, to, 1, (*stream)->data, (*stream)->len,
                   true);
    nfv_repeats_set_loading(false);
    return outcome;
}

/* What came through is saved as what was sent. */
static void check_repeats(Device *from, size_t *size)
{
    g_autofree Device *to = device_new(0xaa);
    g_autoptr(GByteArray) stream = NULL;
    g_autoptr(GByteArray) sent = save(&vmstate_device, from, false, NULL);
    g_autoptr(GByteArray) came = NULL;
    Outcome outcome = count_repeats(from, to, &stream);

    g_assert_cmpint(outcome.ret, ==, 0);
    g_assert_cmpint(outcome.next, ==, QEMU_VM_EOF);
    for (int i = 0; i < FEW; i++) {
        to->tests[i].b = from->tests[i].b;       /* not always saved */
        to->sections[i].b = from->sections[i].b; /* neither */
    }
    came = save(&vmstate_device, to, false, NULL);
    assert_same_stream(sent, came);
    *size = stream->len;
}

static void test_repeats(void)
{
    g_autoptr(GRand) rand = new_rand();
    g_autofree Device *d = device_random(rand);
    g_autofree Device *reset = device_new(0);
    size_t random, repeats;

    for (int i = 0; i < FEW; i++) {
        d->hooks[i].a = 0; /* doubled on load */
    }
    check_repeats(d, &random);
    g_assert_cmpint(random, >, sizeof(d->elements) + sizeof(d->bytes));

    /* All repeat, and all but some. */
    check_repeats(reset, &repeats);
    g_assert_cmpint(repeats, <, 2000);
    for (int distinct = 1; distinct < 100; distinct += 7) {
        memcpy(reset->elements, d->elements, distinct * sizeof(Element));
        memcpy(reset->u64, d->u64, distinct * sizeof(d->u64[0]));
        check_repeats(reset, &repeats);
        g_assert_cmpint(repeats, <, 2000 + distinct * (sizeof(Element) + 8));
    }
}

/* No structure that is sent like this has a subsection, whatever its bytes. */
static void test_repeats_mark(void)
{
    g_autofree Device *d = device_new(0);
    size_t size;

    memset(d->bytes, QEMU_VM_SUBSECTION, sizeof(d->bytes));
    memset(d->u16, QEMU_VM_SUBSECTION, sizeof(d->u16));
    for (int i = 0; i < ARRAY_SIZE(d->elements); i++) {
        Element *e = &d->elements[i];

        e->two[0].u8 = e->two[1].u8 = e->one.u8 = QEMU_VM_SUBSECTION;
        e->last = QEMU_VM_SUBSECTION;
    }
    check_repeats(d, &size);
}

static const VMStateDescription vmstate_array = {
    .name = "array",
    .fields =
        (const VMStateField[]) {
            VMSTATE_ARRAY(s8, Device, FEW, 0, vmstate_info_int8, int8_t),
            VMSTATE_END_OF_LIST(),
        },
};

/* Loads @array of bytes; the first of them comes before the count. */
static int load_array(const uint8_t *stream, size_t size, uint8_t *array)
{
    g_autofree Device *d = device_new(0);
    Outcome outcome;

    nfv_repeats_set_loading(true);
    outcome = load(&vmstate_array, d, 0, stream, size, true);
    nfv_repeats_set_loading(false);
    memcpy(array, d->s8, FEW);
    return outcome.ret;
}

static void test_repeats_hostile(void)
{
    uint8_t array[FEW], stream[TAIL] = { 9, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6 };
    static const uint8_t two[FEW] = { 9, 1, 2, 2, 2, 2, 2 };
    static const uint8_t six[FEW] = { 9, 1, 2, 3, 4, 5, 6 };

    for (uint32_t count = 0; count < 300; count++) {
        stl_be_p(stream + 1, count);
        g_assert_cmpint(load_array(stream, TAIL, array), ==,
                        count >= 1 && count < FEW ? 0 : -EINVAL);
        if (count == 2) {
            g_assert_cmpmem(array, FEW, two, FEW);
        } else if (count == FEW - 1) {
            g_assert_cmpmem(array, FEW, six, FEW);
        }
    }
    stl_be_p(stream + 1, UINT32_MAX);
    g_assert_cmpint(load_array(stream, TAIL, array), ==, -EINVAL);

    /* Cut off. */
    stl_be_p(stream + 1, FEW - 1);
    for (size_t size = 1; size < 5 + FEW - 1; size++) {
        g_assert_cmpint(load_array(stream, size, array), <, 0);
    }
}

/* A stream that is mostly counts, each bit of which is altered. */
static void test_repeats_altered(void)
{
    g_autofree Device *from = device_new(0);
    g_autofree Device *to = device_new(0);
    g_autoptr(GByteArray) stream = NULL;
    int refused = 0;

    count_repeats(from, to, &stream);
    nfv_repeats_set_loading(true);
    for (size_t bit = 0; bit < (stream->len - TAIL) * 8; bit++) {
        stream->data[bit / 8] ^= 1 << bit % 8;
        refused += load(&vmstate_device, to, 1, stream->data, stream->len,
                        true).ret != 0;
        stream->data[bit / 8] ^= 1 << bit % 8;
    }
    nfv_repeats_set_loading(false);
    g_test_message("%d of %u refused", refused, (stream->len - TAIL) * 8);
    g_assert_cmpint(refused, >, 100);
}

/* A snapshot that is loaded after the migration has its arrays whole. */
static void test_repeats_snapshot(void)
{
    nfv_repeats_set_loading(true);
    g_assert(nfv_repeats_loads());
    state = RUN_STATE_RESTORE_VM;
    g_assert(!nfv_repeats_loads());
    state = RUN_STATE_INMIGRATE;
    nfv_repeats_set_loading(false);
}

static void *other_thread(void *opaque)
{
    return GINT_TO_POINTER(nfv_repeats_saves());
}

/* What another thread saves is as in stock. */
static void test_repeats_thread(void)
{
    nfv_repeats_set_saving(true);
    g_assert(nfv_repeats_saves());
    g_assert(!g_thread_join(g_thread_new("other", other_thread, NULL)));
    nfv_repeats_set_saving(false);
}

int main(int argc, char **argv)
{
    module_call_init(MODULE_INIT_QOM);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/vmstate/save", test_save);
    g_test_add_func("/nfv/vmstate/save-json", test_save_json);
    g_test_add_func("/nfv/vmstate/load", test_load);
    g_test_add_func("/nfv/vmstate/round-trip", test_round_trip);
    g_test_add_func("/nfv/vmstate/bool", test_bool);
    g_test_add_func("/nfv/vmstate/truncated", test_truncated);
    g_test_add_func("/nfv/vmstate/mark", test_mark);
    g_test_add_func("/nfv/vmstate/unknown-subsection", test_unknown_subsection);
    g_test_add_func("/nfv/vmstate/garbage", test_garbage);
    g_test_add_func("/nfv/vmstate/versions", test_versions);
    g_test_add_func("/nfv/vmstate/plan", test_plan);
    g_test_add_func("/nfv/vmstate/plan-refuses", test_plan_refuses);
    g_test_add_func("/nfv/vmstate/repeats", test_repeats);
    g_test_add_func("/nfv/vmstate/repeats-mark", test_repeats_mark);
    g_test_add_func("/nfv/vmstate/repeats-hostile", test_repeats_hostile);
    g_test_add_func("/nfv/vmstate/repeats-altered", test_repeats_altered);
    g_test_add_func("/nfv/vmstate/repeats-snapshot", test_repeats_snapshot);
    g_test_add_func("/nfv/vmstate/repeats-thread", test_repeats_thread);
    return g_test_run();
}
