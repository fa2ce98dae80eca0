"""The words of the mini world, by family and language: plain data.

English families are complete; `FIRST_WORLD_FAMILIES` are those that the first world speaks, the
grown world speaks all. German and Mandarin entries are (English gloss, word, article or measure word), so
that translation pairs follow by the gloss. A word belongs to one family only, and no two
English words are pronounced alike (there is no "to" beside "two"): what is heard decides what is
written. English is spelled in the normal form, lower-case a to z; German keeps its capitals.
"""

Entry = tuple[str, str, str]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _entries(text: str) -> tuple[Entry, ...]:
    """Entries written "gloss word mark", the mark often absent, parted by commas."""
    rows = (row.split() for row in text.split(","))
    return tuple((row[0], row[1], row[2] if len(row) > 2 else "") for row in rows)


ENGLISH: dict[str, tuple[str, ...]] = {
    "numbers": _words("zero one two three four five six seven eight nine ten eleven twelve"),
    "tens": _words("twenty thirty forty fifty sixty seventy eighty ninety"),
    "colours": _words("red blue green yellow black white brown pink"),
    "animals": _words("dog cat cow sheep horse duck bird fish frog mouse lion bear"),
    "household": _words("cup spoon table chair door window key lamp book bottle box clock"),
    "plurals": _words("dogs cats birds cups books keys"),
    "verbs": _words("sees has wants"),
    "commands": _words("open close take"),
    "adjectives": _words("big small new hot cold"),
    "function_words": _words("the a is and please on"),
    "question_words": _words("what which this that sound do you hear was can tell me"),
    "teens": _words("thirteen fourteen fifteen sixteen seventeen eighteen nineteen"),
    "large_numbers": _words("hundred thousand million"),
    "weekdays": _words("monday tuesday wednesday thursday friday saturday sunday"),
    "months": _words(
        "january february march april may june july august september october november december"
    ),
    "more_colours": _words("orange purple grey gold silver"),
    "more_animals": _words(
        "pig goat hen rooster goose owl crow pigeon wolf fox rabbit tiger elephant monkey "
        "snake bee whale turtle donkey parrot eagle camel"
    ),
    "more_household": _words(
        "bed sofa shelf mirror carpet curtain knife fork plate pan kettle oven stove fridge "
        "sink soap towel brush broom bucket phone radio television computer keyboard pillow "
        "blanket candle basket drawer pen pencil paper scissors glass bell drill alarm"
    ),
    "spelling": _words(
        "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike oscar "
        "papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu"
    ),
    "more_verbs": _words(
        "finds likes hears says eats drinks sleeps runs walks sings barks speaks breaks rings"
    ),
    "more_commands": _words(
        "go come stop start turn push pull bring give put find listen look play say speak "
        "spell count repeat translate wash cook help"
    ),
    "small_words": _words("left up down off back yes no stay now again first"),
    "more_adjectives": _words(
        "old young long short fast slow loud quiet happy sad angry afraid calm full empty "
        "clean dirty heavy soft good"
    ),
    "more_question_words": _words(
        "where who when how many much why it of in or with not an my your he she does are "
        "there name"
    ),
    "people": _words(
        "man woman child girl boy mother father teacher friend baby doctor person speaker"
    ),
    "heard_things": _words(
        "rain thunder wind siren engine horn music song voice noise silence typing knocking "
        "laughter cough sneeze sigh piano guitar violin flute drum trumpet"
    ),
    "food_and_places": _words(
        "bread milk water coffee tea apple egg house kitchen garden street school room train car"
    ),
    "times": _words("today tomorrow morning evening day"),
}

FIRST_WORLD_FAMILIES: tuple[str, ...] = _words(
    "numbers tens colours animals household plurals verbs commands adjectives function_words "
    "question_words"
)

GERMAN: dict[str, tuple[Entry, ...]] = {
    "numbers": _entries(
        "zero null, one eins, two zwei, three drei, four vier, five fünf, six sechs, "
        "seven sieben, eight acht, nine neun, ten zehn, eleven elf, twelve zwölf, "
        "twenty zwanzig, hundred hundert"
    ),
    "colours": _entries(
        "red rot, blue blau, green grün, yellow gelb, black schwarz, white weiß, brown braun, "
        "pink rosa"
    ),
    "animals": _entries(
        "dog Hund der, cat Katze die, cow Kuh die, sheep Schaf das, horse Pferd das, "
        "duck Ente die, bird Vogel der, fish Fisch der, frog Frosch der, mouse Maus die, "
        "lion Löwe der, bear Bär der, pig Schwein das, rooster Hahn der, owl Eule die, "
        "crow Krähe die"
    ),
    "household": _entries(
        "cup Tasse die, spoon Löffel der, table Tisch der, chair Stuhl der, door Tür die, "
        "window Fenster das, key Schlüssel der, lamp Lampe die, book Buch das, "
        "bottle Flasche die, box Kiste die, clock Uhr die, bed Bett das, "
        "keyboard Tastatur die, bell Glocke die, phone Telefon das, knife Messer das, "
        "glass Glas das"
    ),
    "verbs": _entries(
        "sees sieht, has hat, wants will, finds findet, hears hört, says sagt, is ist, "
        "eats isst, sleeps schläft, barks bellt"
    ),
    "adjectives": _entries(
        "big groß, small klein, new neu, hot heiß, cold kalt, old alt, loud laut, quiet leise, "
        "happy fröhlich, sad traurig, angry wütend"
    ),
    "people": _entries("man Mann der, woman Frau die, child Kind das, person Person die"),
    "times": _entries("today heute, tomorrow morgen"),
    "small_words": _entries(
        "and und, not nicht, please bitte, what was, this dies, sound Geräusch das, yes ja, no nein"
    ),
}

MANDARIN: dict[str, tuple[Entry, ...]] = {
    "numbers": _entries(
        "zero 零, one 一, two 二, three 三, four 四, five 五, six 六, seven 七, eight 八, "
        "nine 九, ten 十, eleven 十一, twelve 十二, twenty 二十, hundred 百"
    ),
    "colours": _entries(
        "red 红色, blue 蓝色, green 绿色, yellow 黄色, black 黑色, white 白色, brown 棕色, "
        "pink 粉色"
    ),
    "animals": _entries(
        "dog 狗 只, cat 猫 只, cow 牛 头, sheep 羊 只, horse 马 匹, duck 鸭子 只, bird 鸟 只, "
        "fish 鱼 条, frog 青蛙 只, mouse 老鼠 只, lion 狮子 只, bear 熊 只, pig 猪 头, "
        "rooster 公鸡 只, owl 猫头鹰 只, crow 乌鸦 只"
    ),
    "household": _entries(
        "cup 杯子 个, spoon 勺子 把, table 桌子 张, chair 椅子 把, door 门 扇, window 窗户 扇, "
        "key 钥匙 把, lamp 灯 盏, book 书 本, bottle 瓶子 个, box 盒子 个, clock 钟 个, "
        "bed 床 张, keyboard 键盘 个, bell 铃铛 个, phone 电话 个, knife 刀 把, glass 玻璃 块"
    ),
    "verbs": _entries(
        "sees 看见, has 有, wants 想要, finds 找到, hears 听见, says 说, is 是, eats 吃, "
        "sleeps 睡觉, barks 叫"
    ),
    "adjectives": _entries(
        "big 大, small 小, new 新, hot 热, cold 冷, old 旧, loud 响, quiet 安静, happy 高兴, "
        "sad 难过, angry 生气"
    ),
    "people": _entries("man 男人 个, woman 女人 个, child 孩子 个, person 人 个"),
    "times": _entries("today 今天, tomorrow 明天"),
    "small_words": _entries(
        "and 和, not 不, please 请, what 什么, this 这, sound 声音 个, yes 对, no 没有"
    ),
}


# what the grown world needs beside the words; the tokenizer was trained without it
GERMAN_PLURALS: dict[str, str] = {
    one: several
    for one, several, _ in _entries(
        "Hund Hunde, Katze Katzen, Kuh Kühe, Schaf Schafe, Pferd Pferde, Ente Enten, "
        "Vogel Vögel, Fisch Fische, Frosch Frösche, Maus Mäuse, Löwe Löwen, Bär Bären, "
        "Schwein Schweine, Hahn Hähne, Eule Eulen, Krähe Krähen, Tasse Tassen, Löffel Löffel, "
        "Tisch Tische, Stuhl Stühle, Tür Türen, Fenster Fenster, Schlüssel Schlüssel, "
        "Lampe Lampen, Buch Bücher, Flasche Flaschen, Kiste Kisten, Uhr Uhren, Bett Betten, "
        "Tastatur Tastaturen, Glocke Glocken, Telefon Telefone, Messer Messer, Glas Gläser, "
        "Mann Männer, Frau Frauen, Kind Kinder, Person Personen"
    )
}
GERMAN_NUMBER_PARTS: dict[int, str] = {
    **{13: "dreizehn", 14: "vierzehn", 15: "fünfzehn", 16: "sechzehn", 17: "siebzehn"},
    **{18: "achtzehn", 19: "neunzehn", 20: "zwanzig", 30: "dreißig", 40: "vierzig"},
    **{50: "fünfzig", 60: "sechzig", 70: "siebzig", 80: "achtzig", 90: "neunzig"},
}
# English command, German command, Mandarin command, what it can be said of
PARALLEL_COMMANDS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("open", "öffne", "打开", ("door", "window", "box", "bottle", "book")),
    ("close", "schließe", "关上", ("door", "window", "box")),
    ("take", "nimm", "拿起", ("cup", "spoon", "key", "book", "bottle", "knife", "lamp", "bell")),
    ("find", "finde", "找到", ("cup", "key", "book", "clock", "phone", "dog", "cat", "mouse")),
    ("wash", "wasche", "洗", ("cup", "spoon", "bottle", "window", "table", "knife", "dog")),
)


WEAK_NOUNS = {"Löwe": "Löwen", "Bär": "Bären"}
"""German nouns that change in the accusative."""


def plural(noun: str) -> str:
    """The plural of one of the world's countable nouns."""
    odd = {"sheep": "sheep", "fish": "fish", "mouse": "mice", "goose": "geese", "wolf": "wolves"}
    odd |= {"knife": "knives", "shelf": "shelves", "scissors": "scissors", "man": "men"}
    odd |= {"woman": "women", "child": "children", "person": "people", "baby": "babies"}
    if noun in odd:
        return odd[noun]
    return noun + ("es" if noun.endswith(("x", "s", "sh", "ch")) else "s")


def english_words(families: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """The words of the given families, in order; of all families by default."""
    return tuple(word for family in families or tuple(ENGLISH) for word in ENGLISH[family])


def first_world_words() -> tuple[str, ...]:
    """The distinct English words that the first mini world speaks."""
    return english_words(FIRST_WORLD_FAMILIES)
