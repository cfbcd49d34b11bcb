/* The shell: words, `;`, `&`, and where a command comes from. */
#include "kernel.h"

#define WORDS 16
#define LINE 512

/** Splits at spaces; '…' and "…" keep theirs. Returns the number of words, or -1 if there are too many. */
static int split(char *line, char **words)
{
    int n = 0;
    for (char *p = line;;) {
        while (*p == ' ' || *p == '\t')
            p++;
        if (!*p)
            return n;
        if (n == WORDS)
            return -1;
        char *out = words[n++] = p;
        char quote = 0;
        for (; *p && (quote || (*p != ' ' && *p != '\t')); p++) {
            if (quote ? *p == quote : *p == '"' || *p == '\'')
                quote = quote ? 0 : *p;
            else
                *out++ = *p;
        }
        bool last = !*p;
        *out = 0;
        if (last)
            return n;
        p++;
    }
}

static void run_one(char *text)
{
    char *words[WORDS + 1];
    size_t n = strlen(text);
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        text[--n] = 0;
    bool background = n && text[n - 1] == '&';
    if (background)
        text[n - 1] = 0;
    int count = split(text, words);
    if (count < 0) {
        print("too many words (at most %d)\n", WORDS);
        return;
    }
    if (!count)
        return;
    words[count] = NULL;
    char **program = words;
    if (strcmp(words[0], "run") == 0 && count > 1)
        program++, count--;
    else
        for (int i = 0; i < command_count; i++)
            if (strcmp(commands[i].name, words[0]) == 0) {
                if (background)
                    print("%s runs in the kernel and cannot run in the background\n", words[0]);
                else
                    commands[i].run(count, words);
                return;
            }
    if (!program_find(program[0])) {
        print("%s: no such command or program; type help to see them all\n", program[0]);
        return;
    }
    if (background) {
        struct process *p = process_start(count, program, PROCESS_BACKGROUND);
        if (p)
            print("[%d] %s\n", p->id, program[0]);
        return;
    }
    struct process result;
    if (process_run(count, program, 0, &result) && !result.killed && !result.interrupted && result.status)
        print("%s ended with status %d\n", program[0], result.status);
}

void shell_run(char *line)
{
    while (line && !console_interrupted()) {
        char *next = NULL, quote = 0;
        for (char *p = line; *p; p++) {
            if (quote ? *p == quote : *p == '"' || *p == '\'')
                quote = quote ? 0 : *p;
            else if (!quote && *p == ';') {
                *p = 0;
                next = p + 1;
                break;
            }
        }
        run_one(line);
        line = next;
    }
}

void shell(void *unused)
{
    (void)unused;
    static char line[LINE];
    if (command_line_value("run", line, sizeof line))
        shell_run(line);
    for (;;)
        if (console_line("corner> ", line, sizeof line, true))
            shell_run(line);
}
