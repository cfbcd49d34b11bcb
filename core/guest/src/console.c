/* The console's line editor, and what Ctrl-C does. */
#include "kernel.h"

#define LINE 200
#define HISTORY 16
#define CTRL(c) ((c) & 31)
#define ESCAPE 27
#define DELETE 127

enum key { KEY_UP = 256, KEY_DOWN, KEY_RIGHT, KEY_LEFT, KEY_HOME, KEY_END, KEY_DELETE, KEY_NONE };

static char history[HISTORY][LINE];
static int history_next, history_count;
static volatile bool reading, interrupted;
static struct process *volatile foreground;

bool console_interrupted(void) { return interrupted; }
void console_foreground(struct process *process) { foreground = process; }

bool console_interrupt(void)
{
    struct process *p = foreground;
    interrupted = true; /* even while a line is read: it may just have ended, and is not run then */
    if (reading && !p)
        return false;
    print("^C\n");
    if (p) {
        p->interrupted = true;
        process_kill(p, 130);
    }
    return true;
}

/** A key: a byte, or one of KEY_* for escape sequences; -1: the reader is being killed. */
static int read_key(void)
{
    int c = console_read();
    if (c != ESCAPE)
        return c;
    c = console_read();
    if (c != '[' && c != 'O')
        return c < 0 ? -1 : KEY_NONE;
    int number = 0;
    for (c = console_read(); (c >= '0' && c <= '9') || c == ';'; c = console_read())
        number = c == ';' ? 0 : number * 10 + c - '0';
    switch (c) {
    case 'A':
        return KEY_UP;
    case 'B':
        return KEY_DOWN;
    case 'C':
        return KEY_RIGHT;
    case 'D':
        return KEY_LEFT;
    case 'H':
        return KEY_HOME;
    case 'F':
        return KEY_END;
    case '~':
        return number == 3 ? KEY_DELETE : number == 1 || number == 7 ? KEY_HOME : number == 4 || number == 8 ? KEY_END : KEY_NONE;
    }
    return c < 0 ? -1 : KEY_NONE;
}

struct editor {
    char *line;
    size_t size, length, at;
    const char *prompt;
};

static void left(size_t n)
{
    if (n)
        print("\033[%luD", n);
}

/** Prints the line from `at` on, clears what was behind it, and goes back to `at`. */
static void show_rest(const struct editor *e)
{
    print_text(e->line + e->at, e->length - e->at);
    print("\033[K");
    left(e->length - e->at);
}

static void insert(struct editor *e, char c)
{
    if (e->length + 1 >= e->size)
        return;
    memmove(e->line + e->at + 1, e->line + e->at, e->length - e->at);
    e->line[e->at++] = c;
    e->length++;
    print_text(&c, 1);
    if (e->at < e->length)
        show_rest(e);
}

static void remove_at(struct editor *e)
{
    memmove(e->line + e->at, e->line + e->at + 1, e->length - e->at - 1);
    e->length--;
    show_rest(e);
}

static void replace(struct editor *e, const char *text)
{
    left(e->at);
    copy_string(e->line, text, e->size);
    e->length = strlen(e->line);
    e->at = 0;
    show_rest(e);
    print_text(e->line, e->length);
    e->at = e->length;
}

/** Completes the first word from the names of commands and programs, as far as they agree. */
static void complete(struct editor *e)
{
    char common[24] = "";
    int matches = 0;
    if (e->at != e->length || memcmp(e->line, "run ", MIN(4ul, e->length)) == 0)
        return;
    e->line[e->length] = 0;
    for (int i = 0; i < command_count + program_count; i++) {
        const char *name = i < command_count ? commands[i].name : programs[i - command_count].name;
        if (strncmp(name, e->line, e->length))
            continue;
        if (!matches++)
            copy_string(common, name, sizeof common);
        size_t n = 0;
        while (common[n] && common[n] == name[n])
            n++;
        common[n] = 0;
    }
    for (size_t i = e->length; matches && i < strlen(common); i = e->length)
        insert(e, common[i]);
    if (matches == 1)
        insert(e, ' ');
}

static void remember(const char *line)
{
    int last = (history_next + HISTORY - 1) % HISTORY;
    if (!*line || (history_count && strcmp(history[last], line) == 0))
        return;
    copy_string(history[history_next], line, LINE);
    history_next = (history_next + 1) % HISTORY;
    history_count = MIN(history_count + 1, HISTORY);
}

/** Edits until the line ends; false: Ctrl-C or killed. */
static bool edit(struct editor *e, bool with_history)
{
    int back = 0; /* how far up the history */
    char draft[LINE] = "";
    for (;;) {
        int key = read_key();
        if (key < 0)
            return false;
        switch (key) {
        case '\r':
        case '\n':
            print("\n");
            e->line[e->length] = 0;
            return true;
        case CTRL('C'):
            print("^C\n");
            return false;
        case '\b':
        case DELETE:
            if (e->at) {
                e->at--;
                left(1);
                remove_at(e);
            }
            break;
        case KEY_DELETE:
        case CTRL('D'):
            if (e->at < e->length)
                remove_at(e);
            break;
        case CTRL('U'):
            replace(e, "");
            break;
        case CTRL('K'):
            e->length = e->at;
            show_rest(e);
            break;
        case CTRL('A'):
        case KEY_HOME:
            left(e->at);
            e->at = 0;
            break;
        case CTRL('E'):
        case KEY_END:
            print_text(e->line + e->at, e->length - e->at);
            e->at = e->length;
            break;
        case KEY_LEFT:
            if (e->at) {
                e->at--;
                left(1);
            }
            break;
        case KEY_RIGHT:
            if (e->at < e->length)
                print_text(e->line + e->at++, 1);
            break;
        case CTRL('L'):
            print("\033[H\033[2J%s", e->prompt);
            print_text(e->line, e->length);
            left(e->length - e->at);
            break;
        case '\t':
            if (with_history)
                complete(e);
            break;
        case KEY_UP:
        case KEY_DOWN: {
            int to = back + (key == KEY_UP ? 1 : -1);
            if (!with_history || to < 0 || to > history_count)
                break;
            e->line[e->length] = 0;
            if (back == 0)
                copy_string(draft, e->line, sizeof draft);
            back = to;
            replace(e, back ? history[(history_next + HISTORY - back) % HISTORY] : draft);
            break;
        }
        default:
            if (key >= ' ' && key < 256)
                insert(e, key);
        }
    }
}

bool console_line(const char *prompt, char *line, size_t size, bool with_history)
{
    struct editor e = {line, MIN(size, (size_t)LINE), 0, 0, prompt};
    print("%s", prompt);
    interrupted = false;
    reading = true;
    bool done = edit(&e, with_history);
    reading = false;
    if (done && with_history)
        remember(line);
    return done;
}
