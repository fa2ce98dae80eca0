"""The letters of the world: what the encoder learns to spell with CTC, in three languages.

Latin letters come first, then German's own, then every character of the Mandarin sentences. Capitals are spelled as
small letters, because nobody hears them.
"""

LATIN = " abcdefghijklmnopqrstuvwxyz"
GERMAN_LETTERS = "äöüß"
MANDARIN_CHARACTERS = (
    "一七三上不两个么乌九书二五人什今八公六关兴冷刀到勺匙匹十只叫吃吗听和响哪四在块声大天头女子孩安对小床开张很想户扇打找把"
    "拿新旧明是有本条杯桌棕椅气没洗灯热熊牛狗狮猪猫玻璃瓶生电男白百的盏盒盘看睡窗粉红绿羊老色蓝蛙要见觉话说请起过这里"
    "钟钥铃铛键门难零青静音马高鱼鸟鸡鸦鸭鹰黄黑鼠"
)
LETTERS = LATIN + GERMAN_LETTERS + MANDARIN_CHARACTERS
"""What can be spelled; class 0 is CTC's blank, LETTERS[i] is class i + 1."""
_CLASSES = {letter: place + 1 for place, letter in enumerate(LETTERS)}


def spell(text: str) -> list[int]:
    """CTC classes of a text; raises KeyError for a character that the world does not have."""
    return [_CLASSES[letter] for letter in text.lower()]
